package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
)

// TestPlaces: one address cannot take everybody's places, and a place comes back.
func TestPlaces(t *testing.T) {
	p := newPlaces(3, 2)
	take := func(address string) (func(), error) {
		t.Helper()
		got, err := p.take(t.Context(), address, nil)
		if err != nil {
			return nil, err
		}
		return got.release, nil
	}
	first, err := take("a")
	second, err2 := take("a")
	if err != nil || err2 != nil {
		t.Fatalf("two places of one address: %v, %v", err, err2)
	}
	if _, err := take("a"); !errors.Is(err, errTooMany) {
		t.Errorf("a third place of one address = %v, want errTooMany", err)
	}
	other, err := take("b")
	if err != nil {
		t.Fatalf("another address beside it: %v", err)
	}
	if _, err := take("c"); !errors.Is(err, errBusy) {
		t.Errorf("a place beyond all = %v, want errBusy", err)
	}
	first()
	if again, err := take("a"); err != nil {
		t.Errorf("after one came back: %v", err)
	} else {
		again()
	}
	second()
	other()
	if len(p.of) != 0 || len(p.all) != 0 {
		t.Errorf("%d addresses and %d places are left over", len(p.of), len(p.all))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := newPlaces(1, 1).take(gone, "a", nil); err == nil {
		got.release() // a free place may be had all the same
	}
}

func TestTraffic(t *testing.T) {
	tr := newTraffic(100, time.Hour)
	if tr.add("a", 100) || !tr.add("a", 1) || !tr.add("a", 0) || tr.add("b", 1) {
		t.Error("beyond 100 bytes an address, and only that one, is over")
	}
	tr.of["a"].since = time.Now().Add(-2 * time.Hour)
	if tr.add("a", 0) {
		t.Error("the next window begins with what the last one left")
	}
}

func TestMeter(t *testing.T) {
	for name, c := range map[string]struct {
		took time.Duration
		size int
		want error
	}{
		"slow at first":   {patience / 2, 1, nil},
		"slow":            {2 * patience, 1 << 10, errSlow},
		"long and steady": {2 * patience, 100 << 10, nil},
	} {
		counted := int64(0)
		m := &meter{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", c.size))),
			count: func(n int64) { counted += n }, began: time.Now().Add(-c.took)}
		_, err := m.Read(make([]byte, 1<<20))
		if !errors.Is(err, c.want) || counted != int64(c.size) {
			t.Errorf("%s: Read = %v with %d counted, want %v and %d", name, err, counted, c.want, c.size)
		}
	}
}

func TestEcho(t *testing.T) {
	s := &set{file: &disclosure.GateFile{Policy: &disclosure.Policy{}}}
	if got := s.echo("short", 10); got != "short" {
		t.Errorf("echo = %q", got)
	}
	got := s.echo(strings.Repeat("é", 10), 5)
	if !strings.HasPrefix(got, "éé\n") || !strings.Contains(got, "Cut here") {
		t.Errorf("echo of too much = %q", got)
	}
}

// TestSlowBodyMakesRoom: whoever holds a place and hardly sends is cut off for
// the next; whoever goes on sending, or has sent all, is not.
func TestSlowBodyMakesRoom(t *testing.T) {
	for name, c := range map[string]struct {
		read int
		age  time.Duration
		kept bool
		cut  bool
	}{
		"slow":        {100, 2 * settling, false, true},
		"fast enough": {100 << 10, 2 * settling, false, false},
		"just begun":  {100, 0, false, false},
		"all here":    {100, 2 * settling, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlaces(4, 1)
			cut := false
			m := &meter{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", c.read+1))), began: time.Now().Add(-c.age), cut: func() { cut = true }}
			if _, err := io.ReadFull(m, make([]byte, c.read)); err != nil {
				t.Fatal(err)
			}
			held, err := p.take(t.Context(), "a", m)
			if err != nil {
				t.Fatal(err)
			}
			held.since = time.Now().Add(-c.age)
			if c.kept {
				held.keep()
			}
			p.makeRoom(func(x *place) bool { return x.address == "b" })
			if cut {
				t.Error("it was cut off for another address")
			}
			p.makeRoom(func(x *place) bool { return x.address == "a" })
			if _, err := m.Read(make([]byte, 1)); cut != c.cut || errors.Is(err, errSlow) != c.cut {
				t.Errorf("cut off %t, and it reads on with %v; want cut off %t", cut, err, c.cut)
			}
			held.release()
			held.release()
			if len(p.all) != 0 || len(p.held) != 0 || len(p.of) != 0 {
				t.Errorf("%d places, %d bodies and %d addresses are left over", len(p.all), len(p.held), len(p.of))
			}
		})
	}
}

// TestBodyThatWaitsForUs: a body that has come makes no room for others while
// it waits for its turn to be taken apart.
func TestBodyThatWaitsForUs(t *testing.T) {
	g := New(Config{Spool: t.TempDir()})
	g.heavy <- struct{}{} // somebody else's turn
	s := &set{file: &disclosure.GateFile{Policy: &disclosure.Policy{Intake: disclosure.Intake{MaxBytes: 4 << 20}}}}
	large := `{"description":"` + strings.Repeat("x", heavyJSON) + `"}`
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, wait := range map[string]func(*intake, io.Reader) error{
		"report": func(in *intake, body io.Reader) error {
			_, err := in.readJSON(gone, body)
			return err
		},
		"mailbox": func(in *intake, body io.Reader) error {
			r := httptest.NewRequestWithContext(gone, http.MethodPost, PathMessages, body)
			r.Header.Set("Content-Type", "application/json")
			_, _, err := g.readMailboxJSON(r, 4<<20, in)
			return err
		},
	} {
		m := &meter{ReadCloser: io.NopCloser(strings.NewReader(large)), began: time.Now()}
		ctx := context.WithValue(context.WithValue(t.Context(), addressKey{}, "a"), meterKey{}, m)
		in, err := g.begin(ctx, s, disclosure.ArrivalReport, disclosure.ByAPI)
		if err != nil {
			t.Fatal(err)
		}
		if !g.uploads.held[in.place] {
			t.Errorf("%s: a body that comes does not make room", name)
		}
		if err := wait(in, m); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: waiting for a turn = %v, want that nobody waits any more", name, err)
		}
		if g.uploads.held[in.place] {
			t.Errorf("%s: a body that is here would be cut off for another", name)
		}
		in.close()
	}
	if _, err := g.begin(t.Context(), s, disclosure.ArrivalReport, disclosure.ByAPI); !errors.Is(err, errNoAddress) {
		t.Errorf("begin without an address = %v, want errNoAddress", err)
	}
}
