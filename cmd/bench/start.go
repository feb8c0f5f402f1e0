package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"postern/internal/vault"
)

// start runs the built program on a running cluster: from exec to the gate's
// first page, and what it holds in memory when nothing happens.
func (b *bench) start(ctx context.Context) error {
	heading("Start: from exec to the gate's first page, and memory idle; the cluster is running already")
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("%s is not built: run make build: %w", b.binary, err)
	}
	w, err := b.world(ctx, vault.DefaultCost)
	if err != nil {
		return err
	}
	defer w.close()
	if err := publishSite(ctx, w); err != nil {
		return err
	}
	idle := 10 * time.Second
	if b.quick {
		idle = 2 * time.Second
	}
	t := &table{}
	t.row("", "first page", "memory idle", "of it private", "at most since the start")
	var first time.Duration
	var held memory
	for _, kind := range []struct {
		name   string
		secret string
	}{{"locked", ""}, {"unlocked by a passphrase file", passphrase}} {
		var starts []time.Duration
		var m memory
		for i := range b.rounds + 1 {
			wait := time.Duration(0)
			if i == b.rounds {
				wait = idle
			}
			took, got, err := b.startOnce(ctx, w, kind.secret, wait)
			if err != nil {
				return err
			}
			if i > 0 { // the first reads the program from disk
				starts = append(starts, took)
			}
			m = got
		}
		t.row(kind.name, ms(median(starts)), mib(m.resident), mib(m.private), mib(m.peak))
		first, held = max(first, median(starts)), m
	}
	t.print()
	b.aim("start to first page", float64(first)/float64(time.Millisecond), 200, false, " ms")
	b.aim("memory idle, unlocked", float64(held.resident)/(1<<20), 40, false, " MiB")
	return nil
}

// startOnce runs the program once: how long until its first page, and its
// memory after idle.
func (b *bench) startOnce(ctx context.Context, w *world, secret string, idle time.Duration) (took time.Duration, m memory, err error) {
	p, err := b.launch(ctx, w, secret)
	if err != nil {
		return 0, m, err
	}
	defer p.stop()
	if took = p.took; idle == 0 {
		return took, m, nil
	}
	select {
	case <-ctx.Done():
		return took, m, ctx.Err()
	case <-time.After(idle):
	}
	m, err = memoryOf(p.cmd.Process.Pid)
	return took, m, err
}
