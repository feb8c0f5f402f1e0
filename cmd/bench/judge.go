package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"postern/internal/pgp"
	"postern/internal/vault"
)

// judge tells what an armored message is and whom it is for, without a key, as
// the gate does with each before it takes it; beside it `gpg --list-packets`,
// which is what a gate would have to call.
func (b *bench) judge(ctx context.Context) error {
	heading("Judging one armored message without its key, in process, beside a run of gpg --list-packets")
	if _, err := exec.LookPath("gpg"); err != nil {
		return fmt.Errorf("gpg is not installed, and the peer needs it: %w", err)
	}
	w, err := b.world(ctx, vault.TestCost)
	if err != nil {
		return err
	}
	defer w.close()
	home, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	defer func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() }()
	t := &table{}
	t.row("", "postern p50", "gpg p50", "CPU of gpg")
	for _, size := range []struct {
		name  string
		bytes int
		runs  int
		aim   float64 // 0: only shown
	}{{"3 KiB", 3 << 10, 40, 30}, {"1 MiB", 1 << 20, 15, 0}} {
		message, err := encryptedReport(w, size.bytes)
		if err != nil {
			return err
		}
		ours := w.team.Certificate().KeyIDs()
		var judged, listed []time.Duration
		var cpu time.Duration
		for range size.runs {
			some, err := timed(25, func() error { return judgeOnce(message, ours) })
			if err != nil {
				return err
			}
			judged = append(judged, some...)
			cmd := exec.CommandContext(ctx, "gpg", "--homedir", home, "--batch", "--quiet", "--list-packets")
			cmd.Stdin = bytes.NewReader(message)
			began := time.Now()
			said, _ := cmd.Output() // status 2: it has no key
			listed = append(listed, time.Since(began))
			cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if !bytes.Contains(said, []byte("encrypted data packet")) {
				return fmt.Errorf("gpg says %q: %w", said, errWrong)
			}
		}
		t.row(size.name, ms(median(judged)), ms(median(listed)), ms(cpu/time.Duration(size.runs)))
		if size.aim > 0 {
			defer b.aim("gpg --list-packets / judging in process, "+size.name, ratio(median(listed), median(judged)), size.aim, true, "")
		} else {
			defer fmt.Printf("  gpg --list-packets / judging in process, %s: %.2f\n", size.name, ratio(median(listed), median(judged)))
		}
	}
	t.print()
	return nil
}

func judgeOnce(message []byte, ours []uint64) error {
	found := pgp.Inspect(message)
	if found.Shape != pgp.ShapeMessage {
		return fmt.Errorf("the message is judged to be %s: %w", found.Shape, errWrong)
	}
	if to := pgp.Addressed(bytes.NewReader(found.Block), ours); len(to.Ours) == 0 {
		return fmt.Errorf("the message is judged to be for somebody else: %w", errWrong)
	}
	return nil
}
