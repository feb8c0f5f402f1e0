package gate_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/postgres/postgrestest"
)

// TestApplicantsArePerAddress: who fills the places of one address with
// applications that hardly come takes none from another address.
func TestApplicantsArePerAddress(t *testing.T) {
	w := newWorld(t, limits(gate.Limits{Reports: 100, Uploads: 4, Each: 1}), func(_ *postgrestest.Config, c *gate.Config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	const kind = "application/x-www-form-urlencoded"
	done := make(chan struct{})
	body := &slowly{begun: make(chan struct{}), wait: done, first: strings.NewReader("why=" + strings.Repeat("x", 100<<10))}
	held := make(chan error, 1)
	go func() {
		r, err := http.NewRequest(http.MethodPost, w.server.URL+"/notifications/request", body)
		if err == nil {
			r.Header.Set("Content-Type", kind)
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}
		held <- err
	}()
	<-body.begun
	late := time.After(20 * time.Second)
	for w.gate.Taken() != [2]int{0, 1} { // the server has it soon
		select {
		case err := <-held:
			t.Fatalf("the slow application was answered: %v", err)
		case <-late:
			t.Fatal("the slow application has no place")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if a := w.post("/notifications/request", kind, complete().Encode(), "X-Forwarded-For", "192.0.2.2"); a.status != http.StatusCreated {
		t.Errorf("an application from another address meanwhile: %d, want 201", a.status)
	}
	close(done)
	if err := <-held; err != nil {
		t.Errorf("the slow application: %v", err)
	}
}

// atWrite is a response whose reader looks at the gate when the answer begins.
type atWrite struct {
	*httptest.ResponseRecorder
	look func()
}

func (a atWrite) Write(b []byte) (int, error) {
	a.look()
	return a.ResponseRecorder.Write(b)
}

// TestAnswerHoldsNoPlace: who reads the answer of the mailbox slowly keeps
// neither the one turn of large bodies nor a body's place.
func TestAnswerHoldsNoPlace(t *testing.T) {
	w := newWorld(t)
	code := w.post("/api/v1/reports", "text/plain", "The lantern leaks oil.").receipt(t).Code
	b, err := json.Marshal(map[string]any{"code": code, "text": "And here is why.",
		"files": []disclosure.FileJSON{{Name: "core", Data: make([]byte, 1<<20)}}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, w.server.URL+"/api/v1/mailbox", strings.NewReader(string(b)))
	r.Header.Set("Content-Type", "application/json")
	looked := false
	rec := atWrite{httptest.NewRecorder(), func() {
		looked = true
		if got := w.gate.Taken(); got != [2]int{} {
			t.Errorf("while the answer is written %v places are taken, want none", got)
		}
	}}
	w.gate.ServeHTTP(rec, r)
	if got, _ := io.ReadAll(rec.Body); rec.Code != http.StatusOK || !looked {
		t.Errorf("a large addition: %d %s", rec.Code, got)
	}
}
