package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"postern/internal/vault"
)

const (
	clients     = 8
	reportBytes = 30 << 10
)

// burst is one round at full speed.
type burst struct {
	cost
	done      int
	latencies []time.Duration
}

func (b burst) rate() float64 { return float64(b.done) / b.wall.Seconds() }

// contestant takes reports, or rows, from as many clients as it is told to
// have, for as long as it is told.
type contestant struct {
	name  string
	flood func(context.Context, time.Duration) (burst, error)
	list  []burst
}

// intake sends encrypted reports to the API and to the mail listener, beside
// pgbench inserting rows of the same size on the same cluster: each is waited
// for until it is committed.
func (b *bench) intake(ctx context.Context) error {
	span := 5 * time.Second
	if b.quick {
		span = time.Second
	}
	heading(fmt.Sprintf("Intake: encrypted reports of 30 KiB by POST /api/v1/reports and by SMTP, %d clients, %s a round", clients, span))
	w, err := b.world(ctx, vault.TestCost)
	if err != nil {
		return err
	}
	defer w.close()
	d, err := openDoors(ctx, w, b.pg.dir)
	if err != nil {
		return err
	}
	defer d.close()
	peer, err := newPGBench(ctx, b, w)
	if err != nil {
		return err
	}
	api := &contestant{name: "postern by API, its load generator included", flood: func(ctx context.Context, span time.Duration) (burst, error) {
		return b.flood(ctx, "intake-api", span, d.dialAPI)
	}}
	mail := &contestant{name: "postern by SMTP, its load generator included", flood: func(ctx context.Context, span time.Duration) (burst, error) {
		return b.flood(ctx, "intake-smtp", span, d.dialMail)
	}}
	rows := &contestant{name: "pgbench, one bytea row of 30 KiB", flood: peer.flood}
	for range min(b.rounds, 4) {
		for _, c := range []*contestant{api, rows, mail} {
			if err := b.pg.admin(ctx, "CHECKPOINT"); err != nil {
				return err
			}
			got, err := c.flood(ctx, span)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.list = append(c.list, got)
		}
	}
	if err := d.check(ctx, w, map[string]int{"api": api.total(), "mail": mail.total()}); err != nil {
		return err
	}
	t := &table{}
	t.row("", "per second", "p50", "p99", "CPU each", "PostgreSQL's CPU each")
	for _, c := range []*contestant{api, mail, rows} {
		t.row(c.name, fmt.Sprintf("%.0f", c.rate()), ms(c.percentile(50)), ms(c.percentile(99)),
			ms(c.each(func(x burst) time.Duration { return x.cpu })), ms(c.each(func(x burst) time.Duration { return x.postgres })))
	}
	t.print()
	b.aim("reports a second by API / rows a second", api.rate()/rows.rate(), 0.5, true, "")
	b.aim("reports a second by SMTP / rows a second", mail.rate()/rows.rate(), 0.4, true, "")
	b.aim("p50 of a report by API / p50 of a row", ratio(api.percentile(50), rows.percentile(50)), 3, false, "")
	return nil
}

func (c *contestant) total() (n int) {
	for _, x := range c.list {
		n += x.done
	}
	return n
}

func (c *contestant) rate() float64 {
	var all []float64
	for _, x := range c.list {
		all = append(all, x.rate())
	}
	return median(all)
}

func (c *contestant) percentile(percent float64) time.Duration {
	var all []time.Duration
	for _, x := range c.list {
		all = append(all, percentile(x.latencies, percent))
	}
	return median(all)
}

func (c *contestant) each(f func(burst) time.Duration) time.Duration {
	var all []time.Duration
	for _, x := range c.list {
		all = append(all, f(x)/time.Duration(max(x.done, 1)))
	}
	return median(all)
}

// client is one connection that sends the same report again and again, and
// returns from each when it is acknowledged.
type client interface {
	send() error
	close()
}

// flood lets all clients send at full speed.
func (b *bench) flood(ctx context.Context, name string, span time.Duration, dial func(context.Context) (client, error)) (out burst, err error) {
	var all []client
	defer func() {
		for _, c := range all {
			c.close()
		}
	}()
	for range clients {
		c, err := dial(ctx)
		if err != nil {
			return out, err
		}
		all = append(all, c)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	watch := b.begin()
	end := time.Now().Add(span)
	err = b.profiled(name, func() error {
		var failed error
		for _, c := range all {
			group.Go(func() {
				var mine []time.Duration
				var err error
				for time.Now().Before(end) && err == nil && ctx.Err() == nil {
					began := time.Now()
					err = c.send()
					mine = append(mine, time.Since(began))
				}
				mu.Lock()
				defer mu.Unlock()
				failed = firstError(failed, err)
				out.latencies = append(out.latencies, mine...)
			})
		}
		group.Wait()
		return firstError(failed, ctx.Err())
	})
	out.cost, out.done = watch.stop(), len(out.latencies)
	return out, err
}
