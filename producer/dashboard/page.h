#ifndef SCHEDRUN_PRODUCER_DASHBOARD_PAGE_H
#define SCHEDRUN_PRODUCER_DASHBOARD_PAGE_H

#include "producer/http/call.h"

/*
 * The dashboard's own files (producer/page), compiled in: no token is asked
 * for, nothing of anybody is in them.  Kept by browsers, and asked for anew
 * each time by their ETag.
 */

/* GET {base}/: the page itself. */
void dashboard_page_get(struct http_call *call);
/* GET {base}/page/NAME; 404 without a body if there is none of the name. */
void dashboard_file_get(struct http_call *call);

#endif
