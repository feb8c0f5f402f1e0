package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"postern/internal/disclosure"
)

func TestDeliverSendsEachOnce(t *testing.T) {
	w := newWorld(t)
	w.enroll(20)
	release := w.scheduled()
	id := w.start(release)
	var mu sync.Mutex
	got := map[string]int{}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			_, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
				if string(o.Notice.Frozen) != "the signed bytes" || len(o.Recipient.Keys) != 1 || o.Delivery.MessageID == "" || o.Delivery.Token == "" {
					t.Errorf("Outgoing = %+v; want frozen bytes, one key, a Message-ID and a token", o.Delivery)
				}
				mu.Lock()
				got[o.Recipient.Address]++
				mu.Unlock()
				return accept(ctx, o)
			})
			if err != nil {
				t.Errorf("Deliver: %v", err)
			}
		})
	}
	group.Wait()
	for i := range 20 {
		if n := got[fmt.Sprintf("security@d%d.example", i)]; n != 1 {
			t.Errorf("mails to distributor %d = %d; want 1", i, n)
		}
	}
	r, err := w.Release(t.Context(), w.rel, release)
	w.must(err)
	if n := r.Notice(id); r.State != disclosure.Notified || n.State != disclosure.NoticeSent || n.Tally[disclosure.Delivered] != 20 {
		t.Errorf("release = %s, notice = %s, tally = %v; want notified, sent, 20 sent", r.State, n.State, n.Tally)
	}
	var rows, logged int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE logged) FROM delivery_attempt WHERE outcome = 'sent'`).Scan(&rows, &logged))
	if rows != 20 || logged != 20 {
		t.Errorf("journal rows = %d, logged %d; want 20 and 20", rows, logged)
	}
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM log WHERE type = 'delivery.sent'`).Scan(&rows))
	if rows != 20 {
		t.Errorf("log rows of outcomes = %d; want 20", rows)
	}
	if check, err := w.VerifyLog(t.Context()); err != nil || check.Broken != 0 {
		t.Errorf("VerifyLog = %+v, %v; want whole", check, err)
	}
	var open bool
	w.must(w.pool.QueryRow(t.Context(), `SELECT open FROM go_ahead`).Scan(&open))
	if open {
		t.Error("the go-ahead is open after the notice was sent")
	}
}

// 250 deliveries, 16 workers whose process vanishes in the middle: each
// connection has at most one mail in doubt, and nothing is sent twice.
func TestDeliverAfterACrash(t *testing.T) {
	w := newWorld(t)
	w.enroll(250)
	id := w.start(w.scheduled())
	var mu sync.Mutex
	handed := map[disclosure.DeliveryID]int{}
	var handedOver atomic.Int64
	crashed := w.open("crashed") // and never closed: it vanishes
	var dead atomic.Bool
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := crashed.Deliver(t.Context(), id, w.Now, func(_ context.Context, o disclosure.Outgoing) disclosure.Outcome {
				if dead.Load() || o.Confirm() != nil {
					runtime.Goexit()
				}
				mu.Lock()
				handed[o.Delivery.ID]++
				mu.Unlock()
				if handedOver.Add(1) >= 100 {
					dead.Store(true)
					runtime.Goexit()
				}
				return disclosure.Outcome{State: disclosure.Delivered}
			})
			t.Errorf("Deliver returned, %v; want it dead", err)
		})
	}
	group.Wait()
	// As with kill -9, the server finds every connection gone.
	_, err := w.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'`)
	w.must(err)
	var dangling int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE state = 'sending'`).Scan(&dangling))
	if dangling == 0 || dangling > 16 {
		t.Fatalf("deliveries left in sending = %d; want between 1 and 16", dangling)
	}
	if n, err := w.SweepDeliveries(t.Context()); err != nil || n != 0 {
		t.Errorf("SweepDeliveries at once = %d, %v; want 0: their deadline is not over", n, err)
	}
	w.ahead.Add(int64(time.Minute))
	if n, err := w.SweepDeliveries(t.Context()); err != nil || n != dangling {
		t.Errorf("SweepDeliveries = %d, %v; want %d", n, err, dangling)
	}
	left, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
		mu.Lock()
		handed[o.Delivery.ID]++
		mu.Unlock()
		return accept(ctx, o)
	})
	if err != nil || left != 0 {
		t.Fatalf("Deliver after the restart = %d, %v; want 0", left, err)
	}
	for id, n := range handed {
		if n > 1 {
			t.Errorf("delivery %s was handed over %d times", id, n)
		}
	}
	tally := w.tally(id)
	if tally[disclosure.Uncertain] != dangling || tally[disclosure.Delivered] != 250-dangling {
		t.Errorf("tally = %v; want %d uncertain, the rest sent", tally, dangling)
	}
	var lost int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery d WHERE d.state = 'sent' AND NOT EXISTS
		(SELECT FROM delivery_attempt a WHERE a.delivery = d.id AND a.attempt = d.attempt AND a.outcome = 'sent')`).Scan(&lost))
	if lost != 0 {
		t.Errorf("%d deliveries are sent without a journal row", lost)
	}
}

func TestPostponingInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.enroll(250)
	release := w.scheduled()
	id := w.start(release)
	var left atomic.Int64
	var group sync.WaitGroup
	begun := make(chan struct{})
	var once sync.Once
	for range MaxSenders {
		group.Go(func() {
			_, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
				time.Sleep(50 * time.Millisecond) // a slow server
				outcome := accept(ctx, o)
				if outcome.State == disclosure.Delivered {
					if left.Add(1) == 40 {
						once.Do(func() { close(begun) })
					}
				}
				return outcome
			})
			if err != nil {
				t.Errorf("Deliver: %v", err)
			}
		})
	}
	<-begun
	start := time.Now()
	err := w.UpdateRelease(t.Context(), w.rel, release, func(r *disclosure.Release) error {
		return r.Plan(w.Now().Add(14*24*time.Hour), "UTC", "a partner needs time", w.rel, w.Now())
	})
	took := time.Since(start)
	sent := left.Load()
	w.must(err)
	if took > 2*time.Second {
		t.Errorf("postponing took %v; want less than 2s", took)
	}
	group.Wait()
	if again := left.Load(); again != sent {
		t.Errorf("%d mails left after postponing had answered", again-sent)
	}
	tally := w.tally(id)
	if tally[disclosure.Delivered] != int(sent) || tally[disclosure.Canceled] != 250-int(sent) {
		t.Errorf("tally = %v; want %d sent, the rest canceled", tally, sent)
	}
	if n, err := w.Deliver(t.Context(), id, w.Now, accept); err != nil || n != 0 {
		t.Errorf("Deliver afterwards = %d, %v; want nothing", n, err)
	}
	if again := left.Load(); again != sent {
		t.Errorf("%d mails left after postponing", again-sent)
	}
}

// Whatever happens between approval and sending, or between queueing and
// sending, to whoever it concerns no mail leaves.
func TestWhatStopsAMail(t *testing.T) {
	type step func(w *world, d disclosure.DistributorID, r disclosure.ReleaseID, n disclosure.NoticeID) error
	steps := map[string]step{
		"revoke": func(w *world, d disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.Revoke(w.t.Context(), w.admin, d, "left")
		},
		"add a key": func(w *world, d disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.AddKey(w.t.Context(), w.admin, d, print(999), []byte("another"))
		},
		"remove the key": func(w *world, d disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.RemoveKey(w.t.Context(), w.admin, d, print(0))
		},
		"another address": func(w *world, d disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.EditDistributor(w.t.Context(), w.admin, d, 1, func(x *disclosure.Distributor) error {
				x.Address = "other@example.org"
				return nil
			})
		},
		"edit the text": func(w *world, _ disclosure.DistributorID, r disclosure.ReleaseID, n disclosure.NoticeID) error {
			return w.UpdateRelease(w.t.Context(), w.rel, r, func(x *disclosure.Release) error {
				return x.EditNotice(n, "Another", "text", w.rel, w.Now())
			})
		},
		"postpone": func(w *world, _ disclosure.DistributorID, r disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.UpdateRelease(w.t.Context(), w.rel, r, func(x *disclosure.Release) error {
				return x.Plan(w.Now().Add(20*24*time.Hour), "UTC", "later", w.rel, w.Now())
			})
		},
		"call off": func(w *world, _ disclosure.DistributorID, r disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.UpdateRelease(w.t.Context(), w.rel, r, func(x *disclosure.Release) error {
				return x.CallOff("no bug", w.rel, w.Now())
			})
		},
		"another version": func(w *world, _ disclosure.DistributorID, r disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.UpdateRelease(w.t.Context(), w.rel, r, func(x *disclosure.Release) error {
				return x.SetVersion("4.2", "4.2.11", w.rel, w.Now())
			})
		},
		"deadline": func(w *world, _ disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			w.ahead.Add(int64(8 * 24 * time.Hour))
			w.rel.Verified = w.Wall()
			return nil
		},
		"hold": func(w *world, _ disclosure.DistributorID, _ disclosure.ReleaseID, _ disclosure.NoticeID) error {
			return w.Hold(w.t.Context(), w.admin, "test")
		},
	}
	for name, do := range steps {
		for _, queued := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/queued=%v", name, queued), func(t *testing.T) {
				w := newWorld(t)
				d := w.enroll(1)[0]
				release := w.scheduled()
				id := w.notice(release, disclosure.ToDistributors).ID
				w.approve(id)
				if queued {
					w.must(w.StartSending(t.Context(), w.rel, id, nil))
				}
				err := do(w, d, release, id)
				if err != nil && !(queued && (name == "edit the text" || name == "another version")) {
					t.Fatalf("%s: %v", name, err)
				}
				if err != nil {
					return // what is being sent cannot be edited, which is as good
				}
				if !queued {
					if err := w.StartSending(t.Context(), w.rel, id, nil); err == nil {
						t.Errorf("StartSending after %q was allowed", name)
					}
				}
				_, err = w.Deliver(t.Context(), id, w.Now, func(context.Context, disclosure.Outgoing) disclosure.Outcome {
					t.Errorf("a mail was handed over after %q", name)
					return disclosure.Outcome{State: disclosure.Delivered}
				})
				if err != nil && !errors.Is(err, disclosure.ErrHeld) {
					t.Errorf("Deliver: %v", err)
				}
			})
		}
	}
}

// Others go on when one of the list is revoked in the middle.
func TestRevokingOneLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	ids := w.enroll(3)
	id := w.start(w.scheduled())
	w.must(w.Revoke(t.Context(), w.admin, ids[1], "left"))
	var got []string
	_, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
		got = append(got, o.Recipient.Name)
		return accept(ctx, o)
	})
	w.must(err)
	want := map[disclosure.DeliveryState]int{disclosure.Delivered: 2, disclosure.Canceled: 1}
	if tally := w.tally(id); !maps.Equal(tally, want) || len(got) != 2 {
		t.Errorf("tally = %v, handed over to %v; want %v", tally, got, want)
	}
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	w.enroll(4)
	id := w.start(w.scheduled())
	answers := map[string]disclosure.DeliveryState{"Distribution 000": disclosure.Deferred, "Distribution 001": disclosure.Rejected,
		"Distribution 002": disclosure.Uncertain, "Distribution 003": disclosure.Delivered}
	ids := map[string]string{}
	send := func(_ context.Context, o disclosure.Outgoing) disclosure.Outcome {
		if before := ids[o.Recipient.Name]; before != "" && before != o.Delivery.MessageID {
			t.Errorf("Message-ID of %s = %s; before it was %s", o.Recipient.Name, o.Delivery.MessageID, before)
		}
		ids[o.Recipient.Name] = o.Delivery.MessageID
		return disclosure.Outcome{State: answers[o.Recipient.Name], Text: "said so"}
	}
	if left, err := w.Deliver(t.Context(), id, w.Now, send); err != nil || left != 1 {
		t.Fatalf("Deliver = %d, %v; want one left, the deferred", left, err)
	}
	list, err := w.Ledger(t.Context(), w.rel, id)
	w.must(err)
	for i, d := range list {
		name := fmt.Sprintf("Distribution %03d", i)
		if d.Recipient.Name != name || d.State != answers[name] || d.Reply != "said so" {
			t.Errorf("ledger line %d = %s %s %q; want %s %s", i, d.Recipient.Name, d.State, d.Reply, name, answers[name])
		}
	}
	if n := list[0].NextAt.Sub(w.Now()); n <= 0 || n > 2*time.Minute {
		t.Errorf("the deferred one is tried in %v; want within two minutes", n)
	}
	if err := w.Resend(t.Context(), w.rel, list[3].ID); err == nil {
		t.Error("Resend of a sent delivery was allowed")
	}
	w.must(w.Resend(t.Context(), w.rel, list[1].ID))
	w.must(w.Resolve(t.Context(), w.rel, list[2].ID, true))
	w.ahead.Add(int64(2 * time.Minute))
	answers["Distribution 000"], answers["Distribution 001"] = disclosure.Delivered, disclosure.Delivered
	if left, err := w.Deliver(t.Context(), id, w.Now, send); err != nil || left != 0 {
		t.Fatalf("Deliver again = %d, %v; want none left", left, err)
	}
	if tally := w.tally(id); tally[disclosure.Delivered] != 4 {
		t.Errorf("tally = %v; want 4 sent", tally)
	}
	d, err := w.DeliveryByToken(t.Context(), "nosuchtoken")
	if !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("DeliveryByToken of nothing = %v, %v; want ErrNotFound", d, err)
	}
	w.must(w.Bounced(t.Context(), list[3].ID, "550 no such user"))
	if tally := w.tally(id); tally[disclosure.Rejected] != 1 {
		t.Errorf("tally after a bounce = %v; want one rejected", tally)
	}
}

// A deferred delivery is never tried past its deadline.
func TestDeferredExpires(t *testing.T) {
	w := newWorld(t)
	w.enroll(1)
	id := w.start(w.scheduled())
	send := func(context.Context, disclosure.Outgoing) disclosure.Outcome {
		return disclosure.Outcome{State: disclosure.Deferred, Text: "451 later"}
	}
	for range 3 {
		_, err := w.Deliver(t.Context(), id, w.Now, send)
		w.must(err)
		w.ahead.Add(int64(60 * time.Hour))
	}
	w.ahead.Add(int64(24 * time.Hour))
	if n, err := w.SweepDeliveries(t.Context()); err != nil || n != 1 {
		t.Errorf("SweepDeliveries past the deadline = %d, %v; want 1", n, err)
	}
	if tally := w.tally(id); tally[disclosure.Expired] != 1 {
		t.Errorf("tally = %v; want one expired", tally)
	}
}

// Whoever gives up waiting for a slow mail leaves the sending stopped.
func TestGivingUpWaitingStops(t *testing.T) {
	w := newWorld(t)
	w.enroll(3)
	release := w.scheduled()
	id := w.start(release)
	begun, end := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		left, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
			close(begun)
			<-end
			return accept(ctx, o)
		})
		if err != nil || left != 3 {
			t.Errorf("Deliver = %d, %v; want 3 left: the mail in flight was told no", left, err)
		}
	})
	<-begun
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	gaveUp := make(chan error)
	go func() {
		gaveUp <- w.UpdateRelease(ctx, w.rel, release, func(r *disclosure.Release) error { return r.CancelNotice(id, w.rel, w.Now()) })
	}()
	for stopped := false; !stopped && t.Context().Err() == nil; {
		var err error
		stopped, err = w.Stopped(t.Context(), id)
		w.must(err)
	}
	giveUp()
	if err := <-gaveUp; err == nil {
		t.Error("UpdateRelease did not wait for the mail in flight")
	}
	close(end)
	group.Wait()
	if stopped, err := w.Stopped(t.Context(), id); err != nil || !stopped {
		t.Errorf("Stopped = %v, %v; want true", stopped, err)
	}
	w.must(w.ResumeSending(t.Context(), w.rel, id))
	w.send(id)
	if tally := w.tally(id); tally[disclosure.Delivered] != 3 {
		t.Errorf("tally after resuming = %v; want 3 sent", tally)
	}
}

// TestDeliverNeedsNoSecondConnection: a mail to a reporter leaves while every
// connection of the pool is taken by those who wait for it.
func TestDeliverNeedsNoSecondConnection(t *testing.T) {
	w := newWorld(t)
	_, err := w.ApplyPolicy(t.Context(), w.admin, []byte(strings.Replace(testPolicy, `"ClearMail"`, `"ToldDate": "with_first_notice", "ClearMail"`, 1)))
	w.must(err)
	release := w.scheduled()
	id := w.notice(release, disclosure.ToReporters).ID
	for _, mode := range []string{"no key", "a key"} {
		list, err := w.Recipients(t.Context(), w.rel, id)
		w.must(err)
		if want := map[string]int{"a key": 1}[mode]; len(list) != want {
			t.Errorf("the date goes by mail to %d reporters with %s, want %d: it is no letter without detail", len(list), mode, want)
		}
		w.must(w.UpdateRelease(t.Context(), w.rel, release, func(r *disclosure.Release) error {
			r.Cases[0].Reporters[0].Key = []byte("certificate")
			return nil
		}))
	}
	w.approve(id)
	w.must(w.StartSending(t.Context(), w.rel, id, nil))
	var taken []*pgxpool.Conn
	for range w.pool.Config().MaxConns {
		c, err := w.pool.Acquire(t.Context())
		w.must(err)
		taken = append(taken, c)
	}
	sent := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		_, err := w.Deliver(t.Context(), id, w.Now, func(ctx context.Context, o disclosure.Outgoing) disclosure.Outcome {
			sent <- o.Recipient.Address
			return accept(ctx, o)
		})
		done <- err
	}()
	select {
	case to := <-sent:
		if to != "finn@example.org" {
			t.Errorf("the mail went to %s, want finn@example.org", to)
		}
	case <-time.After(20 * time.Second):
		t.Error("no mail left while the pool was taken")
	}
	for _, c := range taken {
		c.Release()
	}
	w.must(<-done)
}

// TestOneMailTellsBoth: two reporters with one address share a mail, and both
// were told.
func TestOneMailTellsBoth(t *testing.T) {
	w := newWorld(t)
	_, err := w.ApplyPolicy(t.Context(), w.admin, []byte(strings.Replace(testPolicy, `"ClearMail"`, `"ToldDate": "with_first_notice", "ClearMail"`, 1)))
	w.must(err)
	release := w.scheduled()
	id := w.notice(release, disclosure.ToReporters).ID
	r, err := w.Release(t.Context(), w.rel, release)
	w.must(err)
	w.must(w.UpdateCase(t.Context(), w.tri, r.Cases[0].ID, func(c *disclosure.Case) error {
		c.Reporters[0].Key, c.Reporters[0].Mailbox = []byte("certificate"), ""
		for _, x := range []disclosure.Reporter{{ID: "same", Address: "Finn@example.org", Key: []byte("certificate")}, {ID: "other", Address: "other@example.org"}} {
			x.Name, x.Channel = string(x.ID), disclosure.ByMail
			if err := c.AddReporter(x, w.tri, w.Now()); err != nil {
				return err
			}
		}
		return nil
	}))
	w.approve(id)
	w.must(w.StartSending(t.Context(), w.rel, id, nil))
	w.send(id)
	if n := w.tally(id)[disclosure.Delivered]; n != 1 {
		t.Fatalf("%d mails, want 1 for both", n)
	}
	if n, err := w.TellMailboxes(t.Context(), disclosure.System("mailboxes")); err != nil || n != 1 {
		t.Fatalf("TellMailboxes = %d, %v; want 1", n, err)
	}
	c, err := w.Case(t.Context(), w.tri, r.Cases[0].ID)
	w.must(err)
	for _, x := range c.Reporters {
		if told := x.ToldDate.Equal(r.At); told != (x.ID != "other") {
			t.Errorf("reporter %s at %s was told the date %s, want %t", x.ID, x.Address, x.ToldDate, !told)
		}
	}
}
