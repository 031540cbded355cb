/* How long is too long: not the whole transfer, but silence and trickling.
**
** Every tick counts the bytes that moved since the last one into the current slice of
** time. A tick in which we held the transfer up (nobody read the body, the source had
** nothing) is left out. When the slices cover the whole time and their bytes are too few,
** the peer has stalled.
*/
#include "request.h"

#include <string.h>

enum { TICK_MIN = 10, TICK_MAX = 5000 };

static void stalled(struct ep_request *req, const char *text, int64_t ms)
{
  struct ep_err err;
  (void)ep_fail(&err, "timeout", "%s %s: %s for %g seconds", req->spec.method,
                req->url.shown, text, (double)ms / 1000);
  ep_request_failed(req, &err);
}

static bool too_slow(struct ep_request *req, int64_t passed)
{
  struct ep_pace *p = &req->pace;
  int64_t now_at = req->sent + req->received + (int64_t)req->head.bytes;
  int64_t bytes = 0, ms = 0;
  bool held_up = p->held_up || req->send_paused || req->receive_paused;
  int i;
  p->held_up = false;
  if (!held_up && now_at >= p->seen) { /* less: the body is being sent again */
    p->slice_bytes[p->slice] += now_at - p->seen;
    p->slice_ms[p->slice] += passed;
  }
  p->seen = now_at;
  for (i = 0; i < EP_PACE_SLICES; i++) {
    bytes += p->slice_bytes[i];
    ms += p->slice_ms[i];
  }
  if (ms >= req->spec.low_speed_time && bytes < req->spec.low_speed_limit * ms / 1000)
    return true;
  if (p->slice_ms[p->slice] >= req->spec.low_speed_time / EP_PACE_SLICES) {
    p->slice = (p->slice + 1) % EP_PACE_SLICES; /* the oldest one goes */
    p->slice_bytes[p->slice] = p->slice_ms[p->slice] = 0;
  }
  return false;
}

static void on_tick(struct ep_task *task, size_t budget)
{
  struct ep_request *req =
      (struct ep_request *)((char *)task - offsetof(struct ep_request, pace.task));
  struct ep_pace *p = &req->pace;
  int64_t now = ep_now_ms(), passed = now - p->last_look;
  (void)budget;
  p->last_look = now;
  if (req->phase == EP_PHASE_WAIT && now - p->waiting_since >= req->spec.header_timeout) {
    stalled(req, "no answer", req->spec.header_timeout);
    return;
  }
  if ((req->phase == EP_PHASE_SEND || req->phase == EP_PHASE_RECEIVE) &&
      req->spec.low_speed_limit > 0 && too_slow(req, passed > 0 ? passed : 1)) {
    stalled(req, "stalled", req->spec.low_speed_time);
    return;
  }
  ep_loop_timer(req->loop, &p->timer, now + p->tick, &p->task);
}

void ep_pace_begin(struct ep_request *req)
{
  struct ep_pace *p = &req->pace;
  int64_t shorter = req->spec.header_timeout < req->spec.low_speed_time
                        ? req->spec.header_timeout
                        : req->spec.low_speed_time;
  ep_pace_end(req);
  memset(p, 0, sizeof *p);
  p->task.run = on_tick;
  p->tick = shorter / EP_PACE_SLICES;
  p->tick = p->tick < TICK_MIN ? TICK_MIN : p->tick > TICK_MAX ? TICK_MAX : p->tick;
  p->last_look = ep_now_ms();
  ep_loop_timer(req->loop, &p->timer, p->last_look + p->tick, &p->task);
}

void ep_pace_end(struct ep_request *req)
{
  ep_loop_untimer(req->loop, &req->pace.timer);
  ep_loop_forget(req->loop, &req->pace.task);
}
