#include "worker/claims/patience.h"

enum patience_verdict
patience_judge(struct patience *patience, int64_t offset,
    const struct claim_value *holder, struct holder_place place, int64_t now_ms)
{
	int32_t partition = (int32_t)holder->partition;

	if (holder->offset < place.stands || holder->offset < place.reached)
		return HOLDER_DECIDED;
	if (place.stands == PATIENCE_NOBODY)
		return HOLDER_GIVEN_UP;
	if (patience->offset != offset) {
		patience->offset = offset;
		patience->since_ms = now_ms;
	}
	/* Perhaps it is decided: an answer is waited for as long as it takes.
	 */
	if (place.stands == PATIENCE_UNKNOWN)
		return HOLDER_AWAITED;
	if (patience->given_up_on == partition &&
	    patience->given_up_at == place.stands)
		return HOLDER_GIVEN_UP;
	if (now_ms - patience->since_ms < PATIENCE_MS)
		return HOLDER_AWAITED;
	patience->given_up_on = partition;
	patience->given_up_at = place.stands;
	return HOLDER_GIVEN_UP;
}
