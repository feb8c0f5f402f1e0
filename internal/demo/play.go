package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// player plays the story: one step after the other, each at its own hour.
type player struct {
	Config
	say  func(string)
	told time.Time // when a line of progress was last told
}

// step is one line of the story. Its name is kept once it is done.
type step struct {
	day  float64 // after the story's beginning
	name string
	do   func(*player, context.Context) error
}

// play does what is left of the story, in the order of its days, and brings
// the program's time to wall time at the end.
func (p *player) play(ctx context.Context) error {
	steps := story()
	slices.SortStableFunc(steps, func(a, b step) int {
		switch {
		case a.day < b.day:
			return -1
		case a.day > b.day:
			return 1
		}
		return 0
	})
	p.told = time.Now()
	if err := p.settle(ctx); err != nil {
		return err
	}
	if err := p.gateAnswers(ctx); err != nil {
		return err
	}
	for i, s := range steps {
		err := p.Sample.once(s.name, func() error {
			if err := p.goTo(ctx, p.Sample.Began.Add(time.Duration(s.day*24*float64(time.Hour)))); err != nil {
				return err
			}
			if err := s.do(p, ctx); err != nil {
				return err
			}
			return p.settle(ctx)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if time.Since(p.told) > 1500*time.Millisecond {
			p.told = time.Now()
			p.say(fmt.Sprintf("Making sample data: %d of %d, %s", i+1, len(steps), s.name))
		}
	}
	return p.goTo(ctx, p.DB.Wall())
}

// goTo moves the program's time forward to t and lets work do what became due
// on the way, a few hours at a time, so that members are told when they would
// have been.
func (p *player) goTo(ctx context.Context, t time.Time) error {
	const stride = 12 * time.Hour
	for {
		left := t.Sub(p.DB.Now())
		if left <= 0 {
			return nil
		}
		if err := p.DB.MoveTime(ctx, system, min(left, stride)); err != nil {
			return err
		}
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
}

// settle lets work do all that is due.
func (p *player) settle(ctx context.Context) error {
	_, err := p.Work.Once(ctx)
	return err
}

// gateAnswers waits until the gate has its first set of documents.
func (p *player) gateAnswers(ctx context.Context) error {
	return p.until(ctx, "the gate to be ready", func() (bool, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Gate+"/readyz", nil)
		if err != nil {
			return false, err
		}
		answer, err := p.HTTP.Do(r)
		if err != nil {
			return false, nil // not listening yet
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK, nil
	})
}

func (p *player) until(ctx context.Context, what string, ok func() (bool, error)) error {
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		done, err := ok()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	return errors.New("waited 30 seconds for " + what)
}

// report sends a report to the gate as a program would, and finds the case
// that work made of it.
func (p *player) report(ctx context.Context, name, mediaType string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Gate+"/api/v1/reports", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", mediaType)
	// The same key at a second try: the same report again is no second case.
	r.Header.Set("Idempotency-Key", p.Sample.Passphrase+"-"+name)
	answer, err := p.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("send a report to the gate: %w", err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the gate's answer: %w", err)
	}
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("the gate answered %s: %s", answer.Status, strings.TrimSpace(string(b)))
	}
	var receipt struct{ Code, SHA256 string }
	if err := json.Unmarshal(b, &receipt); err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	code, err := vault.ParseCode(receipt.Code)
	if err != nil {
		return fmt.Errorf("read the mailbox code: %w", err)
	}
	box := disclosure.MailboxID(code.Mailbox(p.DB.Instance()).ID())
	var row *postgres.InboxRow
	err = p.until(ctx, "the report to be opened", func() (bool, error) {
		row, err = p.caseOf(ctx, box)
		return row != nil, err
	})
	if err != nil {
		return err
	}
	p.Sample.remember("case "+name, string(row.ID))
	p.Sample.Reports = append(p.Sample.Reports, Report{Name: name, Case: row.Number, Code: receipt.Code, Title: row.Title, SHA256: receipt.SHA256})
	return nil
}

// caseOf finds the case that a mailbox belongs to, among those the story does
// not know yet.
func (p *player) caseOf(ctx context.Context, box disclosure.MailboxID) (*postgres.InboxRow, error) {
	page, err := p.DB.Inbox(ctx, system, postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200})
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, id := range p.Sample.IDs {
		known[id] = true
	}
	for _, r := range page.Rows {
		if known[string(r.ID)] {
			continue
		}
		c, err := p.DB.Case(ctx, system, r.ID)
		if err != nil {
			return nil, err
		}
		for _, rep := range c.Reporters {
			if rep.Mailbox == box {
				return &r, nil
			}
		}
	}
	return nil, nil
}

// add sends a message to a report's mailbox.
func (p *player) add(ctx context.Context, name, text string) error {
	var code string
	for _, r := range p.Sample.Reports {
		if r.Name == name {
			code = r.Code
		}
	}
	body, err := json.Marshal(map[string]string{"code": code, "text": text})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Gate+"/api/v1/mailbox", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("add to a mailbox: %w", err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the gate answered %s: %s", answer.Status, strings.TrimSpace(string(b)))
	}
	return nil
}

func (p *player) by(name string) disclosure.Caller { return p.Sample.caller(p.DB, name) }

// change takes steps on a case as a member.
func (p *player) change(ctx context.Context, name, member string, f func(c *disclosure.Case, by disclosure.Caller, now time.Time) error) error {
	by := p.by(member)
	return p.DB.UpdateCase(ctx, by, p.Sample.Case(name), func(c *disclosure.Case) error { return f(c, by, p.DB.Now()) })
}

func (p *player) reply(ctx context.Context, name, member, text string, files ...disclosure.FileID) error {
	by := p.by(member)
	c, err := p.DB.Case(ctx, by, p.Sample.Case(name))
	if err != nil {
		return err
	}
	if len(c.Reporters) == 0 {
		return errors.New("the case has no reporter")
	}
	return p.DB.Reply(ctx, by, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID,
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}, Text: text, Files: files})
}

func (p *player) note(ctx context.Context, name, member, text string) error {
	return p.DB.AddNote(ctx, p.by(member), p.Sample.Case(name), disclosure.MessageID(disclosure.NewID()), text, nil)
}
