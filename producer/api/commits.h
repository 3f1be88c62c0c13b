#ifndef SCHEDRUN_PRODUCER_API_COMMITS_H
#define SCHEDRUN_PRODUCER_API_COMMITS_H

#include "producer/http/call.h"

/*
 * POST …/datasets/{datasetRid}/commits: says in the topic schedule-events that
 * a branch has new data (docs/http.md, section 14).  On the loop, and then on a
 * pool thread until the brokers have it.
 */
void http_commits_post(struct http_call *call);

#endif
