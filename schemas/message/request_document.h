#ifndef SCHEDRUN_SCHEMAS_MESSAGE_REQUEST_DOCUMENT_H
#define SCHEDRUN_SCHEMAS_MESSAGE_REQUEST_DOCUMENT_H

#include "common/base/text.h"
#include "common/json/node.h"
#include "schemas/message/run_request.h"
#include "schemas/stored/document.h"

/*
 * Reads a Request document (docs/semantics.md, section 5).  `created_time` is
 * the text as it was written, which an outcome echoes; the request has it in ms
 * (0 if it is before 1970).  Texts are copied to the reader's arena.
 */
void request_document_read(struct reader *reader, const struct place *place,
    const struct json *node, struct run_request *request,
    struct text *created_time);

#endif
