/*
 * Claims and transactions, exhaustively: two workers, two partitions, three
 * records, two crashes, a new generation, one EndTxn that comes late, one
 * Redis that goes back to any earlier state.  Partition 0 holds a request and
 * its repetition, partition 1 another request; with -DCROSS it is the same one
 * again, and with -DTAKE_OVER a wait for the other partition's may be given up,
 * once.  A rule is left out by -D and its name, as `make model` does.
 * docs/delivery.md, section 10, says what is left out of it.
 */
#define N 3
#define NONE 9
#ifndef REBALANCES
#define REBALANCES 1
#endif
#define PART(r) (r == 2)
#define OFF(r) (r == 1)
#ifdef CROSS
#define REQ(r) 0
#define REQUESTS 1
#else
#define REQ(r) (r == 2)
#define REQUESTS 2
#endif
#define END(p) (2 - p)
#define AT(p, o) (p * 2 + o)      /* the record at an offset */
#define HAS(set, r) ((set >> r) & 1)
#define MINE(p) (owner[p] == w && mygen[w] == gen)
#define ALL_DONE (committed[0] == END(0) && committed[1] == END(1) && \
	state[0] != ONGOING && state[1] != ONGOING)

mtype = { START, IDLE, CLAIM, REPAIR, PRODUCE, OFFSETS, COMMIT, LOST, REBUILD }
mtype = { EMPTY, ONGOING, COMMITTED }

/* Kafka */
byte committed[2], results[N], answers[REQUESTS];
mtype state[2] = EMPTY;
bool fenced[2];        /* the worker's epoch is old */
byte out[2];           /* records with a result in the open transaction */
byte pending[4];       /* by worker and partition: offset; NONE */
bool late[2];          /* an EndTxn of the worker's epoch is on its way */
byte owner[2], gen;

/* Redis, and a state of it that it may go back to */
byte claim[REQUESTS], mark[2], old_claim[REQUESTS], old_mark[2];
bool went_back, took_over;
#ifdef CROSS
#define TWO_ALLOWED (went_back || took_over)
#else
#define TWO_ALLOWED false
#endif

/* Workers */
mtype phase[2] = START;
byte mygen[2], batchgen[2], from[4], next[4], plan[2], made[2];
bool suspect[2];
byte crashes, rebalances, lates, back; /* back: 1 kept, 2 gone back */
byte ended;

inline move_offset(id, p)
{
	if
	:: pending[id * 2 + p] != NONE ->
		assert(pending[id * 2 + p] >= committed[p]);
		i = committed[p];
		do
		:: i < pending[id * 2 + p] ->
			/* G1: its own result, or that of who speaks for it */
#ifdef CROSS_TRUSTED
			skip; /* it may come yet: whether it does is asked last */
#else
			assert(results[AT(p, i)] == 1 ||
				answers[REQ(AT(p, i))] > 0);
#endif
			i++
		:: else -> break
		od;
		committed[p] = pending[id * 2 + p];
		pending[id * 2 + p] = NONE
	:: else
	fi
}

inline commit_open(id)
{
	r = 0;
	do
	:: r < N ->
		if
		:: HAS(out[id], r) ->
			results[r]++;
			answers[REQ(r)]++;
			assert(results[r] == 1);                      /* G2 */
			assert(answers[REQ(r)] == 1 || TWO_ALLOWED);  /* G3 */
			assert(r != 0 || results[1] == 0)             /* G5 */
		:: else
		fi;
		r++
	:: else -> break
	od;
	move_offset(id, 0);
	move_offset(id, 1);
	r = 0;
	do
	:: r < N -> /* no result without its offset */
		assert(!HAS(out[id], r) || committed[PART(r)] > OFF(r));
		r++
	:: else -> break
	od;
	out[id] = 0;
	state[id] = COMMITTED
}

inline abort_open(id)
{
	out[id] = 0;
	pending[id * 2] = NONE;
	pending[id * 2 + 1] = NONE;
	state[id] = EMPTY
}

/*
 * Whether a record's claim is another partition's, which is not decided yet.
 * What is committed has a result, whoever had the claim since.
 */
#ifdef CROSS_TRUSTED
#define WAITS(r) false
#else
#define WAITS(r) (claim[REQ(r)] != 0 && \
	PART(claim[REQ(r)] - 1) != PART(r) && \
	committed[PART(claim[REQ(r)] - 1)] <= OFF(claim[REQ(r)] - 1))
#endif

/* One claim of a script; a repair plans nothing of it. */
inline take(r)
{
	if
	:: claim[REQ(r)] == 0 ||
		(PART(r) == PART(claim[REQ(r)] - 1) && claim[REQ(r)] > r + 1) ->
		claim[REQ(r)] = r + 1;
		plan[w] = plan[w] | (1 << r)
#ifdef OWN_DROPPED
#else
	:: claim[REQ(r)] == r + 1 -> plan[w] = plan[w] | (1 << r)
#endif
	:: else
	fi
}

#ifdef MARK_UNCHECKED
#define BEHIND(p) false
#else
#define BEHIND(p) (mark[p] < from[w * 2 + p])
#endif

/*
 * Claims of a batch, with its marks, in one step; or nothing.  All of them are
 * taken; then a partition ends before its first record that waits for another
 * partition's.  One that stands before it in this batch is decided with it.
 */
inline run_script()
{
	plan[w] = 0;
	p = first;
	do
	:: true ->
		held = false;
		i = from[w * 2 + p];
		r = next[w * 2 + p];
		if
		:: r > from[w * 2 + p] && r > mark[p] -> mark[p] = r
		:: else
		fi;
		do
		:: i < r ->
			if
			:: held -> /* its claim is taken, no more */
				kept = plan[w];
				take(AT(p, i));
				plan[w] = kept
			:: !held && WAITS(AT(p, i)) &&
				!HAS(done, claim[REQ(AT(p, i))] - 1) ->
				held = true;
				next[w * 2 + p] = i
#ifdef TAKE_OVER
			:: !held && WAITS(AT(p, i)) &&
				!HAS(done, claim[REQ(AT(p, i))] - 1) &&
				!took_over ->
				took_over = true;
				claim[REQ(AT(p, i))] = AT(p, i) + 1;
				plan[w] = plan[w] | (1 << AT(p, i));
				done = done | (1 << AT(p, i))
#endif
			:: else ->
				take(AT(p, i));
				done = done | (1 << AT(p, i))
			fi;
			i++
		:: else -> break
		od;
		if
		:: p == first -> p = 1 - first
		:: else -> break
		fi
	od;
	p = 0;
	i = 0;
	r = 0;
	kept = 0;
	done = 0;
	held = false;
	first = 0
}

/* Whether a partition has a record that can be gone on with. */
#define IS_NEXT(p) (owner[p] == w && from[w * 2 + p] < END(p) && \
	(!WAITS(AT(p, from[w * 2 + p])) || mark[p] < from[w * 2 + p]))

inline forget()
{
	batchgen[w] = 0;
	plan[w] = 0;
	made[w] = 0;
	suspect[w] = false;
	next[w * 2] = 0;
	next[w * 2 + 1] = 0;
	from[w * 2] = 0;
	from[w * 2 + 1] = 0
}

/* Where a partition of ours begins: never while an offset is undecided. */
#ifdef UNSTABLE_BELIEVED
#define STABLE(p) true
#else
#define STABLE(p) (pending[p] == NONE && pending[2 + p] == NONE)
#endif

proctype worker(bit w)
{
	byte r, i, p, kept, done;
	bool held;
	bit first;

	do
	:: atomic { phase[w] == START ->
		/* init_transactions; then the group, and what is committed */
#ifdef NO_FENCING
		if
		:: state[w] == ONGOING -> abort_open(w)
		:: else
		fi;
#else
		abort_open(w);
		late[w] = false;
#endif
		fenced[w] = false;
		forget();
		mygen[w] = gen;
		phase[w] = REBUILD
	}
	:: atomic { phase[w] == REBUILD && (!(MINE(0)) || STABLE(0)) &&
		(!(MINE(1)) || STABLE(1)) ->
		from[w * 2] = (MINE(0) -> committed[0] : 0);
		from[w * 2 + 1] = (MINE(1) -> committed[1] : 0);
		phase[w] = IDLE
	}
	:: atomic { phase[w] == IDLE && mygen[w] != gen ->
		/* revoked and assigned: the handle stays, if it is clean */
		forget();
		mygen[w] = gen;
		phase[w] = REBUILD
	}
	:: atomic { phase[w] == IDLE && mygen[w] == gen &&
		(IS_NEXT(0) || IS_NEXT(1)) ->
		/* a cut: one record of a partition, or all, or none */
		next[w * 2] = from[w * 2];
		next[w * 2 + 1] = from[w * 2 + 1];
		do
		:: owner[0] == w && next[w * 2] < END(0) -> next[w * 2]++
		:: owner[1] == w && next[w * 2 + 1] < END(1) ->
			next[w * 2 + 1]++
		:: next[w * 2] > from[w * 2] ||
			next[w * 2 + 1] > from[w * 2 + 1] -> break
		od;
		batchgen[w] = mygen[w];
		phase[w] = CLAIM
	}
	:: atomic { phase[w] == CLAIM ->
		if
		:: (next[w * 2] > from[w * 2] && BEHIND(0)) ||
			(next[w * 2 + 1] > from[w * 2 + 1] && BEHIND(1)) ->
			phase[w] = REPAIR
		:: else ->
#ifdef CROSS
			if
			:: first = 0
			:: first = 1
			fi;
#endif
			run_script();
			made[w] = 0;
			if
			:: next[w * 2] == from[w * 2] &&
				next[w * 2 + 1] == from[w * 2 + 1] ->
				batchgen[w] = 0;
				next[w * 2] = 0;
				next[w * 2 + 1] = 0;
				phase[w] = IDLE
			:: else -> phase[w] = PRODUCE
			fi
		fi
	}
	:: atomic { phase[w] == REPAIR ->
		/* a record a step; the mark says how far it has come */
		p = (mark[0] < from[w * 2] -> 0 : 1);
		if
		:: mark[p] < from[w * 2 + p] ->
#ifndef NO_REPAIR
			take(AT(p, mark[p]));
#endif
			plan[w] = 0;
			mark[p]++
		:: else -> phase[w] = CLAIM
		fi;
		p = 0
	}
	:: atomic { phase[w] == PRODUCE ->
		do
		:: made[w] < N && !HAS(plan[w], made[w]) -> made[w]++
		:: else -> break
		od;
		if
		:: fenced[w] -> phase[w] = LOST
		:: !fenced[w] && made[w] == N -> made[w] = 0; phase[w] = OFFSETS
		:: !fenced[w] && made[w] < N ->
			state[w] = ONGOING;
			out[w] = out[w] | (1 << made[w]);
			made[w]++
		fi
	}
	:: atomic { phase[w] == OFFSETS ->
		if
#ifdef METADATA_LATE
		:: fenced[w] -> phase[w] = LOST
#else
		:: fenced[w] || batchgen[w] != gen -> phase[w] = LOST
#endif
		:: else ->
			state[w] = ONGOING;
			p = 0;
			do
			:: p < 2 ->
				if
				:: next[w * 2 + p] > from[w * 2 + p] ->
					pending[w * 2 + p] = next[w * 2 + p]
				:: else
				fi;
#ifdef OFFSETS_EARLY
				move_offset(w, p);
#endif
				p++
			:: else -> break
			od;
			p = 0;
			i = 0;
			phase[w] = COMMIT
		fi
	}
	:: atomic { phase[w] == COMMIT ->
		if
		:: fenced[w] || state[w] == EMPTY -> phase[w] = LOST
		:: else ->
			if
			:: true -> /* done, and heard; or said again */
				if
				:: state[w] == ONGOING -> commit_open(w)
				:: else
				fi;
				r = 0;
				i = 0;
				from[w * 2] = next[w * 2];
				from[w * 2 + 1] = next[w * 2 + 1];
				next[w * 2] = 0;
				next[w * 2 + 1] = 0;
				batchgen[w] = 0;
				plan[w] = 0;
#ifdef REBUILD_OFF
				phase[w] = IDLE;
#else
				phase[w] = (suspect[w] -> START : IDLE);
#endif
				suspect[w] = false
			:: !suspect[w] -> /* done, but not heard */
				if
				:: state[w] == ONGOING -> commit_open(w)
				:: else
				fi;
				r = 0;
				i = 0;
				suspect[w] = true
			:: lates < 1 -> /* held up, or one more copy of it */
				lates++;
				late[w] = true;
				suspect[w] = true
			:: suspect[w] -> /* the time is up, the outcome unknown */
#ifdef UNKNOWN_IS_DONE
				from[w * 2] = next[w * 2];
				from[w * 2 + 1] = next[w * 2 + 1];
				abort_open(w);
				late[w] = false;
				suspect[w] = false;
				phase[w] = IDLE
#else
				phase[w] = START
#endif
			fi
		fi
	}
	:: atomic { phase[w] == LOST ->
#ifdef CLAIM_RELEASED
		r = 0;
		do
		:: r < N ->
			if
			:: HAS(plan[w], r) -> claim[REQ(r)] = 0
			:: else
			fi;
			r++
		:: else -> break
		od;
		r = 0;
#endif
		abort_open(w);
		forget();
		phase[w] = START
	}
	/* revoked while a batch is in work: heard, or not (a zombie) */
	:: mygen[w] != gen && (phase[w] == CLAIM || phase[w] == REPAIR ||
		phase[w] == PRODUCE || phase[w] == OFFSETS) -> phase[w] = LOST
	:: atomic { crashes < 2 && phase[w] != START && !ALL_DONE ->
		crashes++;
		forget();
		phase[w] = START
	}
	:: phase[w] == IDLE && ALL_DONE -> break
	od;
	ended++
}

/* Time, the network, the group, and Redis. */
proctype world()
{
	byte r, i;

	do
	:: atomic { rebalances < REBALANCES && !ALL_DONE ->
		rebalances++;
		gen++;
		if
		:: owner[0] = 1 - owner[0]
		:: owner[1] = 1 - owner[1]
		:: owner[0] = 1 - owner[0]; owner[1] = 1 - owner[1]
		fi
	}
	/* transaction.timeout.ms */
	:: atomic { state[0] == ONGOING -> abort_open(0); fenced[0] = true }
	:: atomic { state[1] == ONGOING -> abort_open(1); fenced[1] = true }
	:: atomic { late[0] ->
		late[0] = false;
		if
		:: state[0] == ONGOING && !fenced[0] -> commit_open(0)
		:: else
		fi;
		r = 0;
		i = 0
	}
	:: atomic { late[1] ->
		late[1] = false;
		if
		:: state[1] == ONGOING && !fenced[1] -> commit_open(1)
		:: else
		fi;
		r = 0;
		i = 0
	}
	:: d_step { back == 0 && !ALL_DONE ->
		back = 1;
		old_mark[0] = mark[0];
		old_mark[1] = mark[1];
		old_claim[0] = claim[0];
#ifndef CROSS
		old_claim[1] = claim[1];
#endif
	}
	:: d_step { back == 1 && !ALL_DONE ->
		back = 2;
		went_back = true;
		mark[0] = old_mark[0];
		mark[1] = old_mark[1];
		claim[0] = old_claim[0];
#ifndef CROSS
		claim[1] = old_claim[1];
#endif
		old_mark[0] = 0;
		old_mark[1] = 0;
		old_claim[0] = 0;
#ifndef CROSS
		old_claim[1] = 0
#endif
	}
	:: ended == 2 -> break
	od;
	assert(answers[0] > 0); /* G1, of requests */
#ifndef CROSS
	assert(answers[1] > 0)
#endif
}

init
{
	atomic {
		pending[0] = NONE;
		pending[1] = NONE;
		pending[2] = NONE;
		pending[3] = NONE;
		owner[1] = 1;
		run worker(0);
		run worker(1);
		run world()
	}
}
