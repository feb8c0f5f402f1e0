package gate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

func someCode() string { return strings.Join(vault.NewCode().Words(), " ") }

// TestMailboxAPIFaults: everything that is wrong with a request is said at
// once, and nothing of it is stored.
func TestMailboxAPIFaults(t *testing.T) {
	w := newWorld(t)
	code := someCode()
	for name, c := range map[string]struct {
		body   string
		fields string // of the faults, in order
	}{
		"no code":                 {`{"text":"x"}`, "code"},
		"members of other kinds":  {`{"code":"` + code + `","text":1,"files":{},"withdraw":"yes","item":"x","file":"0"}`, "file files text withdraw"},
		"unknown member":          {`{"code":"` + code + `","texts":"x"}`, ""},
		"a wish that is none":     {`{"code":"` + code + `","credit":"maybe","reason":"x"}`, "credit reason"},
		"named, but not how":      {`{"code":"` + code + `","credit":"yes"}`, "credit_text"},
		"how, but not named":      {`{"code":"` + code + `","credit":"no","credit_text":"Robin"}`, "credit_text"},
		"a name of several lines": {`{"code":"` + code + `","credit":"yes","credit_text":"Robin\nR."}`, "credit_text"},
		"no key":                  {`{"code":"` + code + `","key":"not a key"}`, "key"},
		"half a file":             {`{"code":"` + code + `","item":"x"}`, "file"},
		"a file and a message":    {`{"code":"` + code + `","item":"x","file":0,"text":"x"}`, "item"},
		"no base64":               {`{"code":"` + code + `","files":[{"name":"a","data":"%%%"}]}`, "files"},
	} {
		a := w.post(messages, "application/json", c.body)
		p := a.problem(t)
		var fields []string
		for _, e := range p.Errors {
			fields = append(fields, e.Field)
		}
		if got := strings.Join(fields, " "); a.status != 422 || p.Type != "/problems/invalid" || got != c.fields {
			t.Errorf("%s: %d %s with faults of %q, want 422 invalid with %q", name, a.status, p.Type, got, c.fields)
		}
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d arrivals of refused requests, want none", n)
	}
	const private = `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlYYEZ\n-----END PGP PRIVATE KEY BLOCK-----\n`
	for _, member := range []string{"text", "key", "reason"} {
		a := w.post(messages, "application/json", `{"code":"`+code+`","withdraw":true,"`+member+`":"`+private+`"}`)
		if p := a.problem(t); p.Type != "/problems/private-key" || strings.Contains(a.body, "lYYEZ") {
			t.Errorf("a private key as %s: %s", member, a.body)
		}
	}
	if n := w.arrivals(); n != 3 {
		t.Errorf("%d arrivals of private keys, want 3: sealed, and read by nobody", n)
	}
}

// TestMailboxAPISameAnswer: a code that names nothing and that of a report
// nobody opened get the same bytes, whatever is asked.
func TestMailboxAPISameAnswer(t *testing.T) {
	w := newWorld(t)
	waiting := w.post("/api/v1/reports", "text/plain", "It leaks.").receipt(t).Code
	unknown := someCode()
	for _, ask := range []string{`}`, `,"item":"00000000000000000000000000000000","file":0}`} {
		var bodies []string
		for _, code := range []string{waiting, unknown} {
			a := w.post(messages, "application/json", `{"code":"`+code+`"`+ask)
			body := a.body
			if a.status == 404 {
				body = strings.Replace(body, a.problem(t).Instance, "", 1)
			}
			bodies = append(bodies, body)
		}
		if bodies[0] != bodies[1] {
			t.Errorf("asked %q: %s for a report that waits, %s for no report", ask, bodies[0], bodies[1])
		}
	}
}

// TestMailboxAPIAdds: text, files, wish and key of one request are one message,
// which opens as such; the same request again is the same message.
func TestMailboxAPIAdds(t *testing.T) {
	w := newWorld(t)
	once := w.opens()
	code := w.post("/api/v1/reports", "text/plain", "The lantern leaks oil.").receipt(t).Code
	once()
	big := bytes.Repeat([]byte("big\n"), 1<<19) // 2 MiB: taken apart by turns
	body, err := json.Marshal(map[string]any{"code": code, "text": "More.\r\nOf it.", "credit": "yes", "credit_text": "R. Reporter",
		"key":   string(mustStranger(t).Certificate().Armored()),
		"files": []map[string]string{{"name": "big.txt", "data": base64.StdEncoding.EncodeToString(big)}, {"name": "é <b>.txt", "data": "eA=="}}})
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("k", 40)
	first := w.post(messages, "application/json", string(body), "Idempotency-Key", key)
	again := w.post(messages, "application/json", string(body), "Idempotency-Key", key)
	if first.status != 200 || again.body != first.body || w.arrivals() != 2 {
		t.Fatalf("adding twice: %d, %d arrivals\n%s\n%s", first.status, w.arrivals(), first.body, again.body)
	}
	once()
	c := w.theCase()
	r := c.Reporters[0]
	if r.Credit.Text != "R. Reporter" || r.KeyPrint != mustStranger(t).Certificate().Fingerprint() || len(c.Files) != 2 || c.Files[0].Size+c.Files[1].Size != int64(len(big))+1 {
		t.Errorf("credit %+v, key %s, files %+v", r.Credit, r.KeyPrint, c.Files)
	}
	var out struct {
		Items []disclosure.MailboxItem `json:"items"`
	}
	a := w.post(messages, "application/json", `{"code":"`+code+`"}`)
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	var own disclosure.MailboxItem
	for _, it := range out.Items {
		if it.Kind == disclosure.ItemOwn {
			own = it // the last
		}
	}
	if strings.Join(own.Asked, " ") != "credit key" || own.CreditText != "R. Reporter" || own.SHA256 != hexDigest("More.\nOf it.") || len(own.Files) != 2 {
		t.Errorf("the own message is %+v", own)
	}
	// The policy's limit holds.
	huge := base64.StdEncoding.EncodeToString(make([]byte, 26<<20))
	if p := w.post(messages, "application/json", `{"code":"`+code+`","files":[{"name":"a","data":"`+huge+`"}]}`).problem(t); p.Type != "/problems/too-large" {
		t.Errorf("26 MiB: %s, want too-large", p.Type)
	}
	// Undecided is a wish as well.
	if a := w.post(messages, "application/json", `{"code":"`+code+`","credit":"undecided"}`); a.status != 200 {
		t.Errorf("undecided: %d %s", a.status, a.body)
	}
	once()
	if wish := w.theCase().Reporters[0].Credit.Wish; wish != disclosure.CreditUnset {
		t.Errorf("the wish is %q, want none", wish)
	}
	shown := w.form("/mailbox", "code", code)
	for _, want := range []string{"You answered about credit: yes, as “R. Reporter”.", "You gave an OpenPGP key: ", "You answered about credit: nothing yet"} {
		if !strings.Contains(shown.body, want) {
			t.Errorf("the mailbox's page lacks %q", want)
		}
	}
}
