package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres/gatedb"
	"postern/internal/server"
	"postern/internal/vault"
)

// problemDoc is an RFC 9457 problem document. Type is a path below our own
// address whose last element names the problem; the set is in docs/api.md.
type problemDoc struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []problemFault `json:"errors,omitempty"`
	ID     string         `json:"instance,omitempty"` // of the request
}

type problemFault struct {
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

func (p *problemDoc) Error() string { return p.Title }

// The distinct problems of the API.
func problem(kind string, status int, title, detail string) *problemDoc {
	return &problemDoc{Type: "/problems/" + kind, Status: status, Title: title, Detail: detail}
}

// problems answers a failure of h with a problem document.
func problems(h server.Handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil {
			return nil
		}
		p := asProblem(err)
		if p == nil {
			return err
		}
		p.ID = server.RequestID(r.Context())
		b, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("write a problem: %w", err)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		if p.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(p.Status)
		_, _ = w.Write(append(b, '\n'))
		return nil
	}
}

func asProblem(err error) *problemDoc {
	var p *problemDoc
	var refusal *disclosure.Refusal
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		p = problem("invalid", http.StatusUnprocessableEntity, "The report cannot be taken like this", "")
		for _, f := range refusal.Faults {
			p.Errors = append(p.Errors, problemFault{f.Field, f.Text})
		}
		return p
	case errors.Is(err, errTooLarge), errors.As(err, &size):
		return problem("too-large", http.StatusRequestEntityTooLarge, "Larger than the policy allows", "Nothing was stored. Send the report first and add the rest to its mailbox.")
	case errors.Is(err, gatedb.ErrUnavailable), errors.Is(err, errNoSet), errors.Is(err, errNoRoom), errors.Is(err, errBusy):
		return problem("not-stored", http.StatusServiceUnavailable, "Not stored", "The database did not answer. Send the same bytes with the same Idempotency-Key again.")
	case errors.Is(err, errTooMany):
		return problem("too-many", http.StatusTooManyRequests, "Too much at once", "Wait a minute and send the same bytes with the same Idempotency-Key again.")
	}
	return nil
}

// apiReceipt is what POST /api/v1/reports answers with 201.
type apiReceipt struct {
	Code     string    `json:"code"`
	Mailbox  string    `json:"mailbox"`
	SHA256   string    `json:"sha256"`
	Received time.Time `json:"received_at"`
}

// apiReport takes an armored OpenPGP message, plain text, or JSON.
func (g *Gate) apiReport(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	if s.file.Notice != "" {
		return problem("paused", http.StatusServiceUnavailable, "Intake is paused", s.file.Notice)
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	in, err := g.begin(r.Context(), s, disclosure.ArrivalReport, disclosure.ByAPI)
	if err != nil {
		return err
	}
	defer in.close()
	sum, err := in.readAPI(r)
	if err != nil {
		return err
	}
	got, err := in.store(r.Context(), key, nil, sum)
	if err != nil {
		return err
	}
	b, err := json.Marshal(apiReceipt{Code: strings.Join(got.Code.Words(), " "), Mailbox: g.c.URL + "/mailbox", SHA256: got.SHA256, Received: got.Received})
	if err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(append(b, '\n'))
	return nil
}

// leastKey is how long a caller's own idempotency key has to be. The mailbox
// code is made from key and body, so a key that can be guessed gives the code
// of a body that can be guessed.
const leastKey = 32

func idempotencyKey(r *http.Request) (string, error) {
	key := strings.Trim(r.Header.Get("Idempotency-Key"), `" `)
	switch {
	case key == "":
		return newKey(), nil
	case len(key) < leastKey || len(key) > 200:
		return "", problem("bad-key", http.StatusBadRequest, "The Idempotency-Key does not fit",
			fmt.Sprintf("Use %d to 200 random characters: the mailbox code is made from it. `openssl rand -hex 20` makes a good one.", leastKey))
	}
	return key, nil
}

// headSize is how much of an encrypted body is kept for judging it.
const wholeInMemory = 1 << 20

// readAPI reads the body by its media type. The digest is of the bytes as sent.
func (in *intake) readAPI(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "application/json":
		return in.readJSON(r.Body)
	case "application/pgp-encrypted", "text/plain":
		return in.readText(r.Body, kind)
	}
	return "", problem("media-type", http.StatusUnsupportedMediaType, "This media type is not taken",
		"Send application/pgp-encrypted (one armored OpenPGP message), text/plain, or application/json.")
}

// readText takes an armored message of any size, or text of up to a megabyte.
func (in *intake) readText(body io.Reader, kind string) (string, error) {
	head, err := io.ReadAll(io.LimitReader(body, wholeInMemory+1))
	if err != nil {
		return "", broken(err)
	}
	rest := io.Reader(bytes.NewReader(nil))
	var j judged
	if len(head) > wholeInMemory {
		if !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n\ufeff"), []byte("-----BEGIN PGP MESSAGE-----")) {
			return "", problem("too-large", http.StatusRequestEntityTooLarge, "Plain text is taken up to a megabyte", "Nothing was stored. Encrypt it, or send files in JSON.")
		}
		j, rest = in.set.judgeHead(head), body
	} else {
		j = in.set.judge(head)
	}
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return "", problem("empty", http.StatusUnprocessableEntity, "There is nothing in it", "Describe what you found; one sentence is enough.")
	case j.secret:
		return "", problem("private-key", http.StatusUnprocessableEntity, "This holds a private key", j.fault)
	case j.fault != "":
		return "", problem(faultKind(head), http.StatusUnprocessableEntity, "This cannot be read by us", j.fault)
	case kind == "application/pgp-encrypted" && j.kind != disclosure.PartOpenPGP:
		return "", problem("not-encrypted", http.StatusUnprocessableEntity, "This is not one whole armored OpenPGP message",
			"Nothing was stored. Send it as text/plain if it is meant to be read as it stands.")
	}
	in.header.ToKey = j.toKey
	p, err := in.add(j.kind, "", kind, io.MultiReader(bytes.NewReader(head), rest))
	if err != nil {
		return "", ours(err)
	}
	return p.SHA256, nil
}

func faultKind(text []byte) string {
	switch pgp.Inspect(text).Shape {
	case pgp.ShapePublicKey:
		return "public-key"
	case pgp.ShapeMessage:
		return "not-for-us"
	}
	return "broken-armor"
}

func (in *intake) readJSON(body io.Reader) (string, error) {
	limit := in.set.policy().Intake.MaxBytes
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return "", broken(err)
	}
	if int64(len(b)) > limit {
		return "", errTooLarge
	}
	report, err := disclosure.ParseReportJSON(b)
	if err != nil {
		return "", err
	}
	j := in.set.judge([]byte(report.Description))
	if j.secret {
		return "", problem("private-key", http.StatusUnprocessableEntity, "This holds a private key", j.fault)
	}
	var faults *disclosure.Refusal
	if j.fault != "" {
		faults = faults.Add("description", j.fault)
	}
	if report.Address != "" && !plausibleAddress(report.Address) {
		faults = faults.Add("address", "This does not look like one mail address.")
	}
	cert, fault := ownKey(report.Key)
	if fault != "" {
		faults = faults.Add("key", fault)
	}
	if err := faults.Err(); err != nil {
		return "", err
	}
	in.header.Name, in.header.Address, in.header.Title = oneLine(report.Name, 200), report.Address, oneLine(report.Title, 200)
	in.header.Language, in.header.Key, in.header.ToKey = oneLine(report.Language, 35), cert, j.toKey
	in.header.Credit, in.header.CreditText = report.Credit, oneLine(report.CreditText, 500)
	p, err := in.add(disclosure.PartJSON, "", "application/json", bytes.NewReader(b))
	if err != nil {
		return "", ours(err)
	}
	return p.SHA256, nil
}

// apiMailbox reads a mailbox, or adds to it; the code stands in the body.
func (g *Gate) apiMailbox(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	var ask struct {
		Code string `json:"code"`
		Text string `json:"text,omitempty"`
	}
	d := json.NewDecoder(io.LimitReader(r.Body, maxTyped))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		return disclosure.Refuse("", `Send {"code": "…"} to read, with "text" to add.`)
	}
	code, err := vault.ParseCode(ask.Code)
	if err != nil {
		return disclosure.Refuse("code", codeFault(err).Text)
	}
	box := code.Mailbox(s.instance)
	out := struct {
		Added *apiAdded `json:"added,omitempty"`
		Items []apiItem `json:"items"`
		Found bool      `json:"found"`
		Note  string    `json:"note,omitempty"`
	}{Items: []apiItem{}}
	if strings.TrimSpace(ask.Text) != "" {
		key, err := idempotencyKey(r)
		if err != nil {
			return err
		}
		added, err := g.addMessage(r.Context(), s, box, key, addition{text: normalize(ask.Text)})
		if err != nil {
			return err
		}
		out.Added = &apiAdded{added.SHA256, added.Received}
	}
	items, err := g.items(r.Context(), s, box)
	if err != nil {
		return err
	}
	out.Found = len(items) > 0
	if !out.Found {
		out.Note = "Nothing has been read yet, or there is no such code."
	}
	for _, it := range items {
		out.Items = append(out.Items, apiItem{it.Kind, it.At, it.Text, it.Status, it.Size, it.SHA256, it.Files})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write the mailbox: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
	return nil
}

type apiAdded struct {
	SHA256   string    `json:"sha256"`
	Received time.Time `json:"received_at"`
}

type apiItem struct {
	Kind   disclosure.MailboxItemKind `json:"kind"`
	At     time.Time                  `json:"at"`
	Text   string                     `json:"text,omitempty"`
	Status disclosure.CaseState       `json:"status,omitempty"`
	Size   int64                      `json:"size,omitempty"`
	SHA256 string                     `json:"sha256,omitempty"`
	Files  []disclosure.MailboxFile   `json:"files,omitempty"`
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
