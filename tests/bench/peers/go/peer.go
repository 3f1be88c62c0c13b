// Command peer is what one would write in Go: Avro in, the schedule's version and
// a claim from Redis, pipelined 1,000 deep, Avro out, exactly once by franz-go's
// transactional session, which prepares a batch after the one before is committed.
// It plans nothing: each answer is "ignored".
//
// Usage: peer SCHEMAS BOOTSTRAP GROUP FROM TO REDIS-PORT; says "assigned
// MICROSECONDS".
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/hamba/avro/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	pipeline = 1000
	batch    = 10000
	claimFor = 24 * time.Hour
)

var frame = []byte{0, 0, 0, 0, 2} // before each result: its schema's id

type request struct {
	RequestID          string  `avro:"requestId"`
	RunRid             *string `avro:"runRid"`
	ScheduleRid        string  `avro:"scheduleRid"`
	ScheduleVersionRid *string `avro:"scheduleVersionRid"`
	CreatedTime        int64   `avro:"createdTime"`
	CreatedBy          *string `avro:"createdBy"`
	Trigger            *string `avro:"trigger"`
}

type ignored struct{}

type listing struct {
	Count int      `avro:"count"`
	First []string `avro:"first"`
}

type why struct {
	Phase    int                `avro:"phase"`
	Cause    string             `avro:"cause"`
	Selected int                `avro:"selected"`
	Running  int                `avro:"running"`
	UpToDate int                `avro:"upToDate"`
	Blocked  int                `avro:"blocked"`
	Lists    map[string]listing `avro:"lists"`
}

type result struct {
	Rid                string  `avro:"rid"`
	RequestID          string  `avro:"requestId"`
	ScheduleRid        string  `avro:"scheduleRid"`
	ScheduleVersionRid *string `avro:"scheduleVersionRid"`
	CreatedTime        int64   `avro:"createdTime"`
	CreatedBy          *string `avro:"createdBy"`
	Trigger            *string `avro:"trigger"`
	FinishedTime       int64   `avro:"finishedTime"`
	Result             any     `avro:"result"`
	Why                why     `avro:"why"`
}

type peer struct {
	in, out avro.Schema
	to      string
	redis   *redis.Client
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func schema(directory, name string) avro.Schema {
	text, err := os.ReadFile(filepath.Join(directory, name))
	must(err)
	parsed, err := avro.Parse(string(text))
	must(err)
	return parsed
}

func place(record *kgo.Record) string {
	return fmt.Sprintf("%d:%d", record.Partition, record.Offset)
}

// answer gives the results of records that are the first of their request.
func (p *peer) answer(ctx context.Context, records []*kgo.Record) []*kgo.Record {
	requests := make([]request, len(records))
	heads := make([]*redis.StringCmd, len(records))
	claims := make([]*redis.StatusCmd, len(records))
	pipe := p.redis.Pipeline()
	for i, record := range records {
		must(avro.Unmarshal(p.in, record.Value[len(frame):], &requests[i]))
		heads[i] = pipe.HGet(ctx, "schedrun:s", requests[i].ScheduleRid)
		claims[i] = pipe.SetArgs(ctx, "schedrun:"+requests[i].RequestID, place(record),
			redis.SetArgs{Mode: "NX", Get: true, TTL: claimFor})
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		log.Fatal(err)
	}
	answers := make([]*kgo.Record, 0, len(records))
	for i, record := range records {
		holder, err := claims[i].Result()
		if errors.Is(err, redis.Nil) || holder == place(record) {
			answers = append(answers, &kgo.Record{Topic: p.to, Key: record.Key,
				Value: p.encode(&requests[i], heads[i].Val())})
		}
	}
	return answers
}

func (p *peer) encode(r *request, head string) []byte {
	version := r.ScheduleVersionRid
	if version == nil {
		current := head[2:]
		version = &current
	}
	name := uuid.NewSHA1(uuid.Nil, []byte(r.ScheduleRid+"\n"+r.RequestID))
	value, err := avro.Marshal(p.out, result{Rid: "ri.scheduler.main.run." + name.String(),
		RequestID: r.RequestID, ScheduleRid: r.ScheduleRid, ScheduleVersionRid: version,
		CreatedTime: r.CreatedTime, CreatedBy: r.CreatedBy, Trigger: r.Trigger,
		FinishedTime: time.Now().UnixMilli(), Result: ignored{},
		Why: why{Cause: "none", Lists: map[string]listing{}}})
	must(err)
	return append(append(make([]byte, 0, len(frame)+len(value)), frame...), value...)
}

func main() {
	schemas, bootstrap, group, from, to, port :=
		os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	avro.Register("schedrun.Ignored", ignored{})
	p := &peer{in: schema(schemas, "run_request.avsc"), out: schema(schemas, "schedule_run.avsc"),
		to: to, redis: redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(from),
		kgo.TransactionalID(group), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(2*batch),
		kgo.FetchMaxPartitionBytes(4<<20), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			fmt.Println("assigned", time.Now().UnixMicro())
		}))
	must(err)
	for ctx := context.Background(); ; {
		fetches := session.PollRecords(ctx, batch)
		must(fetches.Err())
		records := fetches.Records()
		must(session.Begin())
		for len(records) > 0 {
			n := min(pipeline, len(records))
			for _, record := range p.answer(ctx, records[:n]) {
				session.Produce(ctx, record, func(_ *kgo.Record, err error) { must(err) })
			}
			records = records[n:]
		}
		committed, err := session.End(ctx, kgo.TryCommit)
		must(err)
		if !committed {
			log.Fatal("a transaction was not committed")
		}
	}
}
