package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
	"postern/internal/vault"
	"postern/internal/work"
)

const (
	noticeBytes = 20 << 10
	patchBytes  = 200 << 10
	connections = 8 // mails in flight; more do not help two processors
)

// fanOut sends one notice to two hundred distributors: through the product,
// with its journal and log; through a shell loop of gpg and an SMTP client;
// and as our cryptography alone, into nothing.
func (b *bench) fanOut(ctx context.Context) error {
	n := 200
	if b.quick {
		n = 40
	}
	heading(fmt.Sprintf("Fan-out: a notice of 20 KiB with a patch of 200 KiB to %d recipients, 70 %% cv25519, 30 %% RSA-4096", n))
	list, err := readers(ctx, b.cache, n)
	if err != nil {
		return err
	}
	f, err := b.newFan(ctx, list)
	if err != nil {
		return err
	}
	defer f.close()
	loop, err := newGPGLoop(ctx, f)
	if err != nil {
		return err
	}
	defer loop.close()
	var ours, theirs, bare, read costs
	for round := range b.rounds {
		run := func(to *costs, once func(context.Context) (cost, error)) error {
			c, err := once(ctx)
			if err != nil {
				return err
			}
			*to = append(*to, c)
			return nil
		}
		if err := run(&ours, f.send); err != nil {
			return fmt.Errorf("postern: %w", err)
		}
		if round < min(b.rounds, 3) { // the loop takes long and varies little
			if err := run(&theirs, loop.send); err != nil {
				return fmt.Errorf("gpg loop: %w", err)
			}
		}
		if err := run(&bare, f.bare); err != nil {
			return fmt.Errorf("bare cryptography: %w", err)
		}
		if err := run(&read, f.bareParsed); err != nil {
			return fmt.Errorf("bare cryptography: %w", err)
		}
	}
	left, err := f.rows(ctx)
	if err != nil {
		return err
	}
	t := &table{}
	t.row("", "wall", "a mail", "CPU", "PostgreSQL's CPU")
	line := func(name string, c costs, pg bool) {
		p := "-"
		if pg {
			p = sec(c.postgres())
		}
		t.row(name, sec(c.wall()), ms(c.wall()/time.Duration(n)), sec(c.cpu()), p)
	}
	line("postern, start of sending to the last outcome", ours, true)
	line("gpg --sign --encrypt and "+loop.client+", one after the other", theirs, false)
	line("bare: read certificate, encrypt, armor", bare, false)
	line("bare, certificates read before", read, false)
	t.print()
	fmt.Printf("  journal rows %d, log rows of deliveries %d, mails of %d bytes\n", left.journal, left.log, f.size)
	b.aim("wall of the gpg loop / wall of postern", ratio(theirs.wall(), ours.wall()), 35, true, "")
	b.aim("CPU of postern / CPU of the bare cryptography", ratio(ours.cpu(), bare.cpu()), 1.6, false, "")
	return nil
}

// fan is a world with readers enrolled and work running.
type fan struct {
	b       *bench
	w       *world
	readers []reader
	sink    *sink
	relay   *smtp.Relay
	work    *work.Work
	end     context.CancelFunc
	ended   chan struct{}
	letters *letters.Letters
	patch   []byte
	frozen  []byte // as signed last
	size    int    // of one mail
	round   int
}

func (b *bench) newFan(ctx context.Context, list []reader) (f *fan, err error) {
	f = &fan{b: b, readers: list, patch: diff(patchBytes)}
	if f.w, err = b.world(ctx, vault.TestCost); err != nil {
		return nil, err
	}
	for i, r := range list {
		_, err := f.w.db.Enroll(ctx, f.w.by, disclosure.Distributor{Name: fmt.Sprintf("Distribution %03d", i), Address: r.address,
			Keys: []disclosure.RecipientKey{{Fingerprint: r.fingerprint, Certificate: r.certificate}}})
		if err != nil {
			return nil, fmt.Errorf("enroll: %w", err)
		}
	}
	if f.sink, err = startSink(ctx); err != nil {
		return nil, err
	}
	f.relay, err = smtp.NewRelay(smtp.RelayConfig{URL: "smtp+insecure://" + f.sink.addr, MaxConnections: connections})
	if err != nil {
		return nil, err
	}
	if f.letters, err = letters.New(nil); err != nil {
		return nil, err
	}
	f.work = work.New(work.Config{DB: f.w.db, Sender: f.relay, Letters: f.letters, GateURL: "http://127.0.0.1",
		DeskURL: "http://127.0.0.1", Version: "bench", Workers: connections})
	if _, err := f.work.Once(ctx); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	running, end := context.WithCancel(ctx)
	f.end, f.ended = end, make(chan struct{})
	go func() {
		defer close(f.ended)
		_ = f.work.Run(running)
	}()
	return f, nil
}

func (f *fan) close() {
	if f.end != nil {
		f.end()
		<-f.ended
	}
	if f.relay != nil {
		f.relay.Close()
	}
	if f.sink != nil {
		f.sink.stop()
	}
	f.w.close()
}

// approved makes a release whose notice to the distributors may be sent.
func (f *fan) approved(ctx context.Context) (disclosure.NoticeID, error) {
	f.round++
	db, by := f.w.db, f.w.by
	by.Verified = db.Wall()
	f.w.by = by
	c, _, err := db.CreateCase(ctx, by, postgres.CaseDraft{Title: "Overflow in the wick", Name: "Finn", Address: "finn@example.org"})
	if err != nil {
		return "", err
	}
	err = db.UpdateCase(ctx, by, c, func(c *disclosure.Case) error {
		return inOrder(
			func() error { return c.Acknowledge(by, db.Now()) },
			func() error { return c.Accept(by, db.Now()) },
			func() error { return c.SetSeverity(disclosure.Severity{Level: "high"}, by, db.Now()) },
			func() error {
				return c.SetAffected([]disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects}}, by, db.Now())
			},
			func() error {
				return c.SetPublic(disclosure.Text{Title: "Lantern overflows", Description: "It does.", Remedy: "Upgrade."}, by, db.Now())
			})
	})
	if err != nil {
		return "", err
	}
	id, err := db.CreateRelease(ctx, by, fmt.Sprintf("Round %d", f.round), []disclosure.CaseID{c})
	if err != nil {
		return "", err
	}
	text := prose(noticeBytes)
	err = db.UpdateRelease(ctx, by, id, func(r *disclosure.Release) error {
		return inOrder(
			func() error { return r.Plan(db.Now().Add(7*24*time.Hour), "UTC", "", by, db.Now()) },
			func() error { return r.SetVersion("4.2", "4.2.10", by, db.Now()) })
	})
	if err != nil {
		return "", err
	}
	if _, err := db.AddPatch(ctx, by, id, disclosure.Patch{Series: "4.2", Name: "4.2.patch"}, bytes.NewReader(f.patch)); err != nil {
		return "", err
	}
	err = db.UpdateRelease(ctx, by, id, func(r *disclosure.Release) error {
		err := r.DraftNotices(by, db.Now())
		for _, n := range r.Notices {
			if err == nil {
				err = r.EditNotice(n.ID, "Lantern security release", text+"\n"+r.Essentials(n.Audience), by, db.Now())
			}
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return f.approve(ctx, id)
}

func (f *fan) approve(ctx context.Context, id disclosure.ReleaseID) (disclosure.NoticeID, error) {
	db, by := f.w.db, f.w.by
	r, err := db.Release(ctx, by, id)
	if err != nil {
		return "", err
	}
	var notice disclosure.NoticeID
	for _, n := range r.Notices {
		if n.Audience == disclosure.ToDistributors {
			notice = n.ID
		}
	}
	err = db.FreezeNotice(ctx, by, notice, func(w postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
		machine, err := letters.NoticeJSON(w.Release.Brief(disclosure.ToDistributors))
		if err != nil {
			return nil, nil, err
		}
		f.frozen, err = mail.Freeze(mail.FrozenMessage{From: "Lantern security <security@lantern.example>", Subject: w.Notice.Subject,
			Text: w.Notice.Text, Attachments: []mail.Part{{Name: "4.2.patch", Type: "text/x-patch", Bytes: f.patch}}, Notice: machine})
		return f.frozen, nil, err
	})
	if err != nil {
		return "", err
	}
	list, err := db.Recipients(ctx, by, notice)
	if err != nil {
		return "", err
	}
	if r, err = db.Release(ctx, by, id); err != nil {
		return "", err
	}
	return notice, db.ApproveNotice(ctx, by, notice, r.Notice(notice).Digest, postgres.ListDigest(list))
}

func inOrder(steps ...func() error) error {
	for _, f := range steps {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// send is one round of the product, from a releaser's yes to the outcome of
// the last delivery.
func (f *fan) send(ctx context.Context) (c cost, err error) {
	notice, err := f.approved(ctx)
	if err != nil {
		return c, fmt.Errorf("make a notice: %w", err)
	}
	if _, err := f.sink.taken(); err != nil {
		return c, err
	}
	if err := f.checkpoint(ctx); err != nil {
		return c, err
	}
	before := f.work.Stats.Sent.Load()
	watch := f.b.begin()
	err = f.b.profiled(fmt.Sprintf("fanout-%d", f.round), func() error {
		if err := f.w.db.StartSending(ctx, f.w.by, notice, nil); err != nil {
			return err
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
			if f.work.Stats.Sent.Load()-before >= int64(len(f.readers)) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("only %d were sent in a minute", f.work.Stats.Sent.Load()-before)
			}
		}
		return f.over(ctx, notice)
	})
	c = watch.stop()
	if err != nil {
		return c, err
	}
	took, err := f.sink.taken()
	if err == nil && took != len(f.readers) {
		err = fmt.Errorf("the sink took %d mails: %w", took, errWrong)
	}
	return c, err
}

// over waits until the notice is sent, which is stored after the last outcome.
func (f *fan) over(ctx context.Context, id disclosure.NoticeID) error {
	for range 5000 {
		var state disclosure.NoticeState
		if err := f.w.db.Pool().QueryRow(ctx, `SELECT state FROM notice WHERE id = $1`, id).Scan(&state); err != nil {
			return err
		}
		if state == disclosure.NoticeSent {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("the notice is not called sent: %w", errWrong)
}

// checkpoint keeps one round's writing out of the next one's time.
func (f *fan) checkpoint(ctx context.Context) error { return f.w.c.admin(ctx, "CHECKPOINT") }

// bare is our cryptography alone: sign and compress once; for each reader read
// the certificate, which has to be checked at each sending, and encrypt.
func (f *fan) bare(ctx context.Context) (cost, error) { return f.encryptAll(ctx, nil) }

// bareParsed leaves the certificates out.
func (f *fan) bareParsed(ctx context.Context) (cost, error) {
	var all []*pgp.Certificate
	for _, r := range f.readers {
		certs, err := pgp.ParseCertificates(r.certificate)
		if err != nil {
			return cost{}, err
		}
		all = append(all, certs...)
	}
	return f.encryptAll(ctx, all)
}

func (f *fan) encryptAll(_ context.Context, parsed []*pgp.Certificate) (cost, error) {
	watch := f.b.begin()
	now := f.w.db.Now()
	ready, err := pgp.Prepare(f.frozen, f.w.team, now)
	if err != nil {
		return cost{}, err
	}
	var group sync.WaitGroup
	errs := make(chan error, 2)
	for worker := range 2 {
		group.Go(func() {
			size := new(counter)
			for i := worker; i < len(f.readers); i += 2 {
				var to []*pgp.Certificate
				var err error
				if parsed != nil {
					to = parsed[i : i+1]
				} else if to, err = pgp.ParseCertificates(f.readers[i].certificate); err != nil {
					errs <- err
					return
				}
				*size = 0
				if err := ready.Encrypt(size, to, now); err != nil {
					errs <- err
					return
				}
			}
			if worker == 0 {
				f.size = int(*size)
			}
			errs <- nil
		})
	}
	group.Wait()
	c := watch.stop()
	return c, firstError(<-errs, <-errs)
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

type postgresRows struct{ journal, log int }

// rows is what the product wrote about it all.
func (f *fan) rows(ctx context.Context) (r postgresRows, err error) {
	err = f.w.db.Pool().QueryRow(ctx, `SELECT (SELECT count(*) FROM delivery_attempt WHERE outcome = 'sent' AND logged),
		(SELECT count(*) FROM log WHERE type = 'delivery.sent')`).Scan(&r.journal, &r.log)
	if want := f.round * len(f.readers); err == nil && (r.journal != want || r.log != want) {
		err = fmt.Errorf("%d journal rows and %d log rows of %d mails: %w", r.journal, r.log, want, errWrong)
	}
	return r, err
}

var words = strings.Fields(`if return range append context err nil func string int bool for else switch case default
	request response header value index buffer length offset template query escape render lantern wick oil flame
	parse token cookie session handler middleware package import struct interface map slice byte rune error`)

// diff looks like a patch and compresses like one.
func diff(size int) []byte {
	r := rand.New(rand.NewPCG(4, 2))
	var b bytes.Buffer
	b.WriteString("From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@lantern.example>\nSubject: [PATCH] wick: bound it\n\n---\n")
	for n := 1; b.Len() < size; n++ {
		fmt.Fprintf(&b, "diff --git a/wick%d.go b/wick%d.go\n--- a/wick%d.go\n+++ b/wick%d.go\n@@ -%d,12 +%d,13 @@\n", n, n, n, n, n*7, n*7)
		for range 12 {
			b.WriteByte(" +-"[r.IntN(3)])
			b.WriteByte('\t')
			for range 4 + r.IntN(6) {
				b.WriteString(words[r.IntN(len(words))] + []string{" ", ", ", "(", ") ", " := ", ".", "_"}[r.IntN(7)])
			}
			b.WriteByte('\n')
		}
	}
	return append(b.Bytes()[:size-1], '\n')
}

func prose(size int) string {
	r := rand.New(rand.NewPCG(1, 9))
	var b strings.Builder
	for b.Len() < size-80 {
		for range 10 {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		b.WriteString("\n")
	}
	return b.String()
}
