#include "common/redis/replica.h"

int
redis_wait_replica(struct redis *redis, struct error *err)
{
	const struct text role = TEXT("ROLE");
	const struct text wait[3] = { TEXT("WAIT"), TEXT("1"), TEXT("1000") };
	struct redis_reply *reply = redis_command(redis, &role, 1, err);
	bool has_replica;

	if (reply == NULL)
		return -1;
	has_replica = redis_reply_size(reply) == 3 &&
	    redis_reply_size(redis_reply_at(reply, 2)) > 0;
	redis_reply_destroy(reply);
	return has_replica ? redis_do(redis, wait, 3, "WAIT", err) : 0;
}
