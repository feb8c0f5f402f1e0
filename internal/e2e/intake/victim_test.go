package intake

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/e2e/world"
	"postern/internal/mail"
)

// flood sends n mails with one envelope sender and From over several
// connections, and lets them be opened; spelled varies how the address is written.
func (w *team) flood(n int, spelled func(i int) string) {
	w.t.Helper()
	before := w.cases()
	const connections = 8
	var group sync.WaitGroup
	errs := make(chan error, connections)
	for first := range connections {
		group.Go(func() {
			errs <- func() error {
				c, err := textproto.Dial("tcp", w.at)
				if err != nil {
					return err
				}
				defer c.Close()
				say := func(want int, line string) error {
					if line != "" {
						if err := c.PrintfLine("%s", line); err != nil {
							return err
						}
					}
					if _, text, err := c.ReadResponse(want); err != nil {
						return fmt.Errorf("%.30q was answered %q, %w", line, text, err)
					}
					return nil
				}
				if err := say(220, ""); err != nil {
					return err
				}
				if err := say(250, "EHLO flood.example"); err != nil {
					return err
				}
				for i := first; i < n; i += connections {
					from := spelled(i)
					raw := strings.ReplaceAll(fmt.Sprintf("From: %s\nTo: %s\nSubject: hateful words %d\nMessage-ID: <f%d@flood.example>\n\nmore hateful words\n", from, address, i, before+i), "\n", "\r\n")
					for _, x := range []struct {
						want int
						line string
					}{{250, "MAIL FROM:<" + from + ">"}, {250, "RCPT TO:<" + address + ">"}, {354, "DATA"}, {250, raw + "."}} {
						if err := say(x.want, x.line); err != nil {
							return fmt.Errorf("mail %d: %w", i, err)
						}
					}
				}
				return nil
			}()
		})
	}
	group.Wait()
	for range connections {
		must(w.t, <-errs)
	}
	for w.cases() < before+n {
		had := w.cases()
		w.Settle()
		if w.cases() == had {
			w.t.Fatalf("%d cases of %d mails", had-before, n)
		}
	}
}

// TestOneFixedMailToAVictim: a thousand mails with somebody else's address
// cause one fixed mail, which holds nothing of theirs; a flood that goes on
// over midnight (of UTC) one for each of the two days.
func TestOneFixedMailToAVictim(t *testing.T) {
	w := newTeam(t, world.Config{})
	now := w.DB.Now()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	w.Advance(midnight.Add(-10 * time.Minute).Sub(now))
	spelled := func(i int) string { // one mailbox, however it is written
		return []string{"victim@elsewhere.example", "Victim@Elsewhere.Example", "VICTIM@ELSEWHERE.EXAMPLE"}[i%3]
	}
	w.flood(1000, spelled)
	got := w.to("victim@elsewhere.example")
	if len(got) != 1 {
		t.Fatalf("%d mails to the victim of a thousand, want 1", len(got))
	}
	if m := got[0]; m.From != "" || bytes.Contains(m.Data, []byte("hateful")) || !mail.IsAutomatic(m.Data) {
		t.Errorf("the mail from %q is\n%s\nwant the null sender, Auto-Submitted, and no word of a report", m.From, m.Data)
	}
	w.Advance(9 * time.Minute)
	w.flood(20, spelled)
	if got := w.to("victim@elsewhere.example"); len(got) != 1 {
		t.Errorf("%d mails just before midnight, want 1", len(got))
	}
	w.Advance(2 * time.Minute)
	if now := w.DB.Now(); now.Before(midnight) {
		t.Fatalf("it is %s, want past %s", now, midnight)
	}
	for day := 2; day <= 3; day++ {
		w.flood(20, spelled)
		if got := w.to("victim@elsewhere.example"); len(got) != day {
			t.Errorf("%d mails on day %d, want one a day", len(got), day)
		}
		w.Advance(24 * time.Hour)
	}
}
