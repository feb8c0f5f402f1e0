package postgres

import (
	"context"
	"flag"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/disclosure"
)

// In whatever order workers deliver, vanish and are swept, and releasers stop,
// resume and resend: nothing is sent without its journal row, nothing is handed
// over twice unless a person asked for it, and nothing leaves without a
// go-ahead.
func TestDeliveriesInAnyOrder(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each check is a release of its own
		_ = f.Value.Set("30")
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
	}
	w := newWorld(t)
	w.enroll(4)
	rapid.Check(t, func(rt *rapid.T) {
		release := w.scheduled()
		id := w.start(release)
		handed := map[disclosure.DeliveryID]int{}
		asked := map[disclosure.DeliveryID]int{}
		stopped := false
		for range rapid.IntRange(3, 8).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"deliver", "deliver", "lose", "sweep", "resend", "stop"}).Draw(rt, "step") {
			case "deliver":
				answer := rapid.SampledFrom([]disclosure.DeliveryState{disclosure.Delivered, disclosure.Deferred, disclosure.Rejected, disclosure.Uncertain}).Draw(rt, "answer")
				_, err := w.Deliver(t.Context(), id, w.Now, func(_ context.Context, o disclosure.Outgoing) disclosure.Outcome {
					if stopped {
						rt.Errorf("a mail was handed over without a go-ahead")
					}
					if answer != disclosure.Deferred && answer != disclosure.Rejected {
						handed[o.Delivery.ID]++
					}
					return disclosure.Outcome{State: answer}
				})
				w.must(err)
			case "lose": // a worker claims one and vanishes
				_, err := w.pool.Exec(t.Context(), claimNext, id, w.Now(), "lost", w.Wall().Add(claimLasts))
				w.must(err)
			case "sweep":
				w.ahead.Add(int64(2 * time.Hour / 24))
				w.rel.Verified = w.Wall()
				_, err := w.SweepDeliveries(t.Context())
				w.must(err)
			case "resend":
				list, err := w.Ledger(t.Context(), w.rel, id)
				w.must(err)
				for _, d := range list {
					if d.State != disclosure.Uncertain {
						continue
					}
					if err := w.Resend(t.Context(), w.rel, d.ID); err == nil {
						asked[d.ID]++
					} else if !stopped {
						rt.Errorf("Resend: %v", err)
					}
				}
			case "stop":
				w.must(w.UpdateRelease(t.Context(), w.rel, release, func(r *disclosure.Release) error {
					if r.Notice(id).State != disclosure.NoticeSending {
						return nil
					}
					stopped = true
					return r.CancelNotice(id, w.rel, w.Now())
				}))
			}
		}
		for d, n := range handed {
			if n > 1+asked[d] {
				rt.Errorf("delivery %s was handed over %d times; %d were asked for", d, n, 1+asked[d])
			}
		}
		var unjournaled int
		w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery d WHERE d.state IN ('sent', 'rejected', 'sending') AND NOT EXISTS
			(SELECT FROM delivery_attempt a WHERE a.delivery = d.id AND a.attempt = d.attempt)`).Scan(&unjournaled))
		if unjournaled > 0 {
			rt.Errorf("%d deliveries without their journal row", unjournaled)
		}
	})
}
