package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres/gatedb"
	"postern/internal/server"
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

// Addresses of the API.
const (
	PathReports  = "/api/v1/reports"
	PathMessages = "/api/v1/mailbox"
	PathOpenAPI  = "/api/v1/openapi.json"
)

//go:embed openapi.json
var description []byte

// openAPI serves the API's OpenAPI 3.1 description.
func openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	w.Header().Set("Cache-Control", "public, no-cache")
	_, _ = w.Write(description)
	return nil
}

// problems answers a failure of h with a problem document, so that a program
// never has to read a page.
func (g *Gate) problems(h server.Handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil {
			return nil
		}
		p := asProblem(err)
		if p == nil {
			if errors.Is(err, context.Canceled) {
				return err // nobody is there to read it
			}
			g.c.Log.Error("the API failed", "request", server.RequestID(r.Context()), "error", err)
			p = problem("internal", http.StatusInternalServerError, "Something went wrong here", "It is our fault. Send the same bytes with the same Idempotency-Key again.")
		}
		p.ID = server.RequestID(r.Context())
		b, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("write a problem: %w", err)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		if p.Type == "/problems/not-stored" {
			w.Header().Set("Retry-After", "5")
		}
		if p.Type == "/problems/too-many" && w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", "5") // a place comes free sooner than a turn
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
			p.Errors = append(p.Errors, problemFault{f.Field, oneLine(f.Text, 400)})
		}
		return p
	case errors.Is(err, errTooLarge), errors.As(err, &size):
		return problem("too-large", http.StatusRequestEntityTooLarge, "Larger than the policy allows", "Nothing was stored. Send the report first and add the rest to its mailbox.")
	case errors.Is(err, gatedb.ErrUnavailable), errors.Is(err, errNoSet), errors.Is(err, errNoRoom), errors.Is(err, errBusy):
		return problem("not-stored", http.StatusServiceUnavailable, "Not stored", "The database did not answer, or too much came in at once. Send the same bytes with the same Idempotency-Key again.")
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
	if paceOf(r.Context()) == paceOver {
		return errTooMany
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
	in.body.expect(r.ContentLength)
	sum, err := in.readAPI(r)
	if errors.Is(err, errSecret) {
		return g.refuseSecretAPI(r, in, key)
	}
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

// errSecret: what was sent holds a private key.
var errSecret = errors.New("a private key was sent")

// refuseSecretAPI seals what came, which is in the intake, and refuses it.
func (g *Gate) refuseSecretAPI(r *http.Request, in *intake, key string) error {
	in.header.Secret = true
	sum := in.body.digest()
	if _, err := in.store(r.Context(), key, nil, hex.EncodeToString(sum[:])); err != nil {
		g.c.Log.Warn("a refused private key was not sealed", "request", server.RequestID(r.Context()), "error", err)
	}
	return problem("private-key", http.StatusUnprocessableEntity, "This holds a private key", in.set.says().SecretHow)
}

// wholeInMemory is how much of a body is judged as a whole; what is longer
// must be one armored message and is judged by its two ends.
const wholeInMemory = 1 << 20

// readAPI reads the body by its media type. The digest is of the bytes as sent.
func (in *intake) readAPI(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "application/json":
		return in.readJSON(r.Context(), r.Body)
	case "application/pgp-encrypted", "text/plain":
		return in.readText(r.Body, kind)
	}
	return "", problem("media-type", http.StatusUnsupportedMediaType, "This media type is not taken",
		"Send application/pgp-encrypted (one armored OpenPGP message), text/plain, or application/json.")
}

// readText takes an armored message of any size, or text of up to a megabyte.
func (in *intake) readText(body io.Reader, kind string) (string, error) {
	var end tail
	p, err := in.add(disclosure.PartText, "", kind, io.TeeReader(body, &end))
	if err != nil {
		return "", ours(err)
	}
	text, err := in.body.Head(wholeInMemory)
	if err != nil {
		return "", err
	}
	var j judged
	switch {
	case p.Size == int64(len(text)):
		j = in.set.judge(text)
	case !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n\ufeff"), []byte("-----BEGIN PGP MESSAGE-----")):
		return "", problem("too-large", http.StatusRequestEntityTooLarge, "Plain text is taken up to a megabyte", "Nothing was stored. Encrypt it, or send files in JSON.")
	case !end.whole():
		return "", problem("broken-armor", http.StatusUnprocessableEntity, "This cannot be read by us", in.set.says().CutOff)
	default:
		j = in.set.judgeHead(text)
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "", problem("empty", http.StatusUnprocessableEntity, "There is nothing in it", "Describe what you found; one sentence is enough.")
	case j.secret:
		return "", errSecret // which stands in the intake already
	case j.fault != "":
		return "", problem(faultKind(text), http.StatusUnprocessableEntity, "This cannot be read by us", j.fault)
	case kind == "application/pgp-encrypted" && j.kind != disclosure.PartOpenPGP:
		return "", problem("not-encrypted", http.StatusUnprocessableEntity, "This is not one whole armored OpenPGP message",
			"Nothing was stored. Send it as text/plain if it is meant to be read as it stands.")
	}
	in.header.ToKey, in.header.Parts[0].Kind = j.toKey, j.kind
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

// heavyJSON is how large a JSON body may be to be taken apart beside others:
// what is text of a larger one may cost several times what it has.
const heavyJSON = 1 << 20

// readJSON takes the whole body in and then apart, a large one at a time.
func (in *intake) readJSON(ctx context.Context, body io.Reader) (string, error) {
	p, err := in.add(disclosure.PartJSON, "", "application/json", body)
	if err != nil {
		return "", ours(err)
	}
	in.place.keep() // all of it is here, and now it waits for us
	if p.Size > heavyJSON {
		select {
		case in.g.heavy <- struct{}{}:
			defer func() { <-in.g.heavy }()
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(30 * time.Second):
			return "", errBusy
		}
	}
	return p.SHA256, in.judgeJSON()
}

// judgeJSON lists every fault at once.
func (in *intake) judgeJSON() error {
	body, err := in.body.Reader()
	if err != nil {
		return err
	}
	report, err := disclosure.ReadReportJSON(body)
	var faults *disclosure.Refusal
	if err != nil && !errors.As(err, &faults) {
		return fmt.Errorf("%w: read it back: %w", errNoRoom, err)
	}
	if report == nil {
		text, failed := in.body.Head(wholeInMemory)
		if failed == nil && holdsSecret(string(text)) {
			return errSecret
		}
		return err
	}
	texts := []string{report.Description, report.Title, report.Versions, report.Reproduce, report.Impact, report.Name, report.Address, report.Key, report.CreditText}
	for _, text := range report.Answers {
		texts = append(texts, text)
	}
	if slices.ContainsFunc(texts, holdsSecret) {
		return errSecret
	}
	j := in.set.judge([]byte(report.Description))
	if j.fault != "" {
		faults = faults.Add("description", j.fault)
	}
	if report.Address != "" && !plausibleAddress(report.Address) {
		faults = faults.Add("address", "This does not look like one mail address.")
	}
	cert, fault := in.set.ownKey(report.Key)
	if fault != "" {
		faults = faults.Add("key", fault)
	}
	if err := faults.Err(); err != nil {
		return err
	}
	in.header.Name, in.header.Address, in.header.Title = oneLine(report.Name, 200), report.Address, oneLine(report.Title, 200)
	in.header.Language, in.header.Key, in.header.ToKey = oneLine(report.Language, 35), cert, j.toKey
	in.header.Credit, in.header.CreditText = report.Credit, oneLine(report.CreditText, 500)
	return nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
