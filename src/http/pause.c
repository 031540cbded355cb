/* Pausing is what a callback answers; going on is a call that runs the callbacks at once.
** So it is made from a task of its own, never from within curl or from a reader's call.
*/
#include "request.h"

static void on_resume(struct ep_task *task, size_t budget)
{
  struct ep_request *req =
      (struct ep_request *)((char *)task - offsetof(struct ep_request, resume_task));
  struct ep_err err;
  CURLcode rc;
  int paused;
  (void)budget;
  if (req->resume_receive)
    req->receive_paused = false;
  if (req->resume_send)
    req->send_paused = false;
  req->resume_receive = req->resume_send = false;
  paused = (req->receive_paused ? CURLPAUSE_RECV : 0) |
           (req->send_paused ? CURLPAUSE_SEND : 0);
  rc = ep_http_resume(req->easy, paused);
  /* the one for a transfer that has just lost its connection: its end is on the way */
  if (rc == CURLE_OK || rc == CURLE_BAD_FUNCTION_ARGUMENT)
    return;
  ep_failure_describe(req, rc, &err);
  ep_request_failed(req, &err);
}

void ep_pause_init(struct ep_request *req)
{
  req->resume_task.run = on_resume;
}

void ep_pause_resume_receive(struct ep_request *req)
{
  if (!req->easy || !req->receive_paused)
    return;
  req->resume_receive = true;
  ep_loop_ready(req->loop, &req->resume_task);
}

void ep_pause_resume_send(struct ep_request *req)
{
  if (!req->easy || !req->send_paused)
    return;
  req->resume_send = true;
  ep_loop_ready(req->loop, &req->resume_task);
}

void ep_pause_end(struct ep_request *req)
{
  ep_loop_forget(req->loop, &req->resume_task);
  req->receive_paused = req->send_paused = false;
  req->resume_receive = req->resume_send = false;
}
