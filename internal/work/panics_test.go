package work_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres/postgrestest"
	"postern/internal/work"
)

// TestParserPanics: a parser that breaks breaks nothing else. What it was given
// becomes a case that needs attention, with its original; what stands beside
// it and what comes after it is read as ever.
func TestParserPanics(t *testing.T) {
	h := newHouse(t)
	broken := func(in mail.Input) {
		b := make([]byte, in.Size)
		_, _ = in.R.ReadAt(b, 0)
		if bytes.Contains(b, []byte("break")) {
			var none *mail.Message
			_ = none.Pieces[3] // as a fault in a parser would
		}
	}
	conf := h.Conf
	conf.Parse = work.Parsers{
		Mail: func(ctx context.Context, in mail.Input, ring pgp.Ring, now time.Time, limits mail.Limits) (*mail.Message, error) {
			broken(in)
			return mail.ReadInput(ctx, in, ring, now, limits)
		},
		Posted: func(ctx context.Context, in mail.Input, ring pgp.Ring, now time.Time, limits mail.Limits) (*mail.Message, error) {
			broken(in)
			return mail.ReadPostedInput(ctx, in, ring, now, limits)
		},
		File: func(ctx context.Context, name, kind string, in mail.Input, ring pgp.Ring, now time.Time, limits mail.Limits) (*mail.Message, error) {
			broken(in)
			return mail.ReadFile(ctx, name, kind, in, ring, now, limits)
		},
	}
	w := work.New(conf)
	once := func() {
		t.Helper()
		if _, err := w.Once(t.Context()); err != nil {
			t.Fatalf("Once: %v", err)
		}
	}
	body, err := json.Marshal(disclosure.ReportJSON{Description: "break it"})
	h.must(err)
	withFile := form(disclosure.PartText, []byte("Tokens can be guessed."))
	withFile.Parts = append(withFile.Parts, postgrestest.Part{Kind: disclosure.PartFile, Name: "poc.asc", Bytes: []byte("break it")})
	for name, sent := range map[string]postgrestest.Sent{
		"mail": mailed(plainMail("Tokens", "break it\n")),
		"text": form(disclosure.PartText, []byte("break it")),
		"JSON": form(disclosure.PartJSON, body),
		"file": withFile,
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Stats.Panics.Load()
			id := h.Arrive(t, sent)
			next := h.Arrive(t, form(disclosure.PartText, []byte("This one is whole.")))
			once()
			if n := w.Stats.Panics.Load() - before; n != 1 {
				t.Errorf("%d panics were counted, want 1", n)
			}
			c, thread := h.read(h.CaseOf(t, id))
			if !strings.Contains(c.Attention, "reading failed inside") || len(thread) != 1 {
				t.Errorf("attention %q, %d messages; want a case that says so", c.Attention, len(thread))
			}
			if name == "file" && !strings.Contains(thread[0].Text, "Tokens can be guessed.") {
				t.Errorf("the text beside the file is %q", thread[0].Text)
			}
			var original bytes.Buffer
			h.must(h.DB.Original(t.Context(), h.Ada, id, &original))
			if !bytes.Contains(original.Bytes(), []byte("break it")) {
				t.Errorf("the original is %q", original.Bytes())
			}
			if _, thread := h.read(h.CaseOf(t, next)); thread[0].Text != "This one is whole." {
				t.Errorf("the next one says %q", thread[0].Text)
			}
		})
	}
}
