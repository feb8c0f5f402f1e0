package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/disclosure"
	"postern/internal/server"
	"postern/internal/vault"
)

// apiMailbox reads a mailbox, adds to it all that its page takes, or answers
// with one file of a reply. The code stands in the body.
func (g *Gate) apiMailbox(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	if paceOf(r.Context()) == paceOver {
		return errTooMany
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var in *intake // what is not small has a place
	if large(r) {
		if in, err = g.begin(r.Context(), s, disclosure.ArrivalMessage, disclosure.ByMailbox); err != nil {
			return err
		}
		defer in.close()
	}
	ask, done, err := g.readMailboxJSON(r, s.policy().Intake.MaxBytes, in)
	if err != nil {
		return err
	}
	defer done()
	code, err := vault.ParseCode(ask.Code)
	if err != nil {
		return disclosure.Refuse("code", s.codeFault(err).Text)
	}
	box := code.Mailbox(s.instance)
	// Whoever reads the answer slowly holds up nobody else's body.
	release := func() {
		done()
		if in != nil {
			in.close()
		}
	}
	if ask.Item != "" {
		release()
		return g.apiFile(w, r, s, box, ask)
	}
	var out apiMailbox
	if ask.Adds() {
		if out.Added, err = g.apiAdd(r.Context(), s, box, key, ask, in); err != nil {
			return err
		}
	}
	release()
	items, err := g.items(r.Context(), s, box)
	if err != nil && out.Added == nil {
		return err
	}
	out.fill(items, err)
	b, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write the mailbox: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
	return nil
}

// apiMailbox is what POST /api/v1/mailbox answers with.
type apiMailbox struct {
	Added *apiAdded                `json:"added,omitempty"`
	Items []disclosure.MailboxItem `json:"items"`
	Found bool                     `json:"found"`
	Note  string                   `json:"note,omitempty"`
}

// apiAdded is what was stored: the digest of the text, and one for each file.
type apiAdded struct {
	SHA256   string                   `json:"sha256,omitempty"`
	Files    []disclosure.MailboxFile `json:"files,omitempty"`
	Received time.Time                `json:"received_at"`
}

func (out *apiMailbox) fill(items []disclosure.MailboxItem, err error) {
	out.Items = append([]disclosure.MailboxItem{}, items...)
	out.Found = len(items) > 0
	for i := range out.Items {
		it := &out.Items[i]
		it.Files = slices.Clone(it.Files)
		for j := range it.Files { // bytes are asked for one by one
			it.Files[j].Bytes, it.Files[j].Item = nil, ""
		}
	}
	switch {
	case err != nil:
		out.Note = "What you sent is stored. The mailbox could not be read just now; ask again."
	case !out.Found:
		out.Note = "Nothing has been read yet, or there is no such code."
	}
}

// readMailboxJSON spools the body and takes it apart, a large one at a time, as
// readJSON does; done ends that time, once. in is nil or holds the place. Nothing of it is stored as it came: the
// code is in it.
func (g *Gate) readMailboxJSON(r *http.Request, most int64, in *intake) (ask *disclosure.MailboxJSON, done func(), err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, nil, problem("media-type", http.StatusUnsupportedMediaType, "This media type is not taken", "Send application/json.")
	}
	most = max(most, most/3*4) + maxRaw // files come in base64
	raw := newBody(g.c.Spool)
	defer raw.Close()
	n, err := io.Copy(raw, io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, nil, ours(err)
	}
	if n > most {
		return nil, nil, errTooLarge
	}
	if in != nil {
		in.place.keep() // all of it is here, and now it waits for us
	}
	done = func() {}
	if n > heavyJSON {
		t := time.NewTimer(30 * time.Second)
		defer t.Stop()
		if err := takeOne(r.Context(), g.heavy, t.C, errBusy); err != nil {
			return nil, nil, err
		}
		done = sync.OnceFunc(func() { <-g.heavy })
	}
	from, err := raw.Reader()
	b := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(from, b)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("%w: read it back: %w", errNoRoom, err)
	}
	if ask, err = disclosure.ParseMailboxJSON(b); err != nil {
		done()
		return nil, nil, err
	}
	return ask, done, nil
}

// apiFile answers with one file of a reply. Another code than the mailbox's,
// another item and another number get the same answer.
func (g *Gate) apiFile(w http.ResponseWriter, r *http.Request, s *set, box *vault.Mailbox, ask *disclosure.MailboxJSON) error {
	err := g.sendFile(w, r, s, box, ask.Item, *ask.File)
	if err == disclosure.ErrNotFound {
		return problem("no-file", http.StatusNotFound, "There is no such file", "Look for id of a reply, and count its files from 0.")
	}
	return err
}

// apiAdd judges what is to be added, all at once, and stores it as one message.
func (g *Gate) apiAdd(ctx context.Context, s *set, box *vault.Mailbox, key string, ask *disclosure.MailboxJSON, in *intake) (*apiAdded, error) {
	words := []string{ask.Text, ask.CreditText, ask.Key, ask.Reason}
	if slices.ContainsFunc(words, holdsSecret) {
		all := addition{text: strings.Join(words, "\n"), secret: true}
		if _, err := g.addMessage(ctx, s, box, key, all, nil); err != nil {
			g.c.Log.Warn("a refused private key was not sealed", "request", server.RequestID(ctx), "error", err)
		}
		return nil, problem("private-key", http.StatusUnprocessableEntity, "This holds a private key", s.says().SecretHow)
	}
	a, err := s.apiAddition(ask)
	if err != nil {
		return nil, err
	}
	if in == nil && len(ask.Files) > 0 {
		if in, err = g.begin(ctx, s, disclosure.ArrivalMessage, disclosure.ByMailbox); err != nil {
			return nil, err
		}
		defer in.close()
	}
	var files []disclosure.MailboxFile
	for _, f := range ask.Files {
		p, err := in.add(disclosure.PartFile, f.Name, f.Type, bytes.NewReader(f.Data))
		if err != nil {
			return nil, err
		}
		files = append(files, disclosure.MailboxFile{Name: disclosure.CleanLabel(f.Name), Size: p.Size, SHA256: p.SHA256})
	}
	got, err := g.addMessage(ctx, s, box, key, a, in)
	if err != nil {
		return nil, err
	}
	return &apiAdded{SHA256: a.digest(), Files: files, Received: got.Received}, nil
}

// apiAddition judges the text as a report's is judged, and the wishes as the
// page's are.
func (s *set) apiAddition(ask *disclosure.MailboxJSON) (addition, error) {
	var a addition
	var faults *disclosure.Refusal
	if strings.TrimSpace(ask.Text) != "" {
		j, err := s.judgeAdded(ask.Text)
		if err != nil {
			return a, err
		}
		a.text, a.kind, a.toKey = ask.Text, j.kind, j.toKey
		if j.kind != disclosure.PartOpenPGP {
			a.text = normalize(ask.Text)
		}
	}
	if wish, ok := ask.Wish(); ok {
		a.credit, a.as = wish, oneLine(ask.CreditText, 500)
		a.answers = append(a.answers, disclosure.Answer{Ask: disclosure.AnswerCredit, Text: string(wish)})
	}
	if ask.Key != "" {
		cert, fault := s.ownKey(ask.Key)
		if fault != "" {
			faults = faults.Add("key", fault)
		}
		a.key = cert
		a.answers = append(a.answers, disclosure.Answer{Ask: disclosure.AnswerKey})
	}
	if ask.Withdraw {
		a.answers = append(a.answers, disclosure.Answer{Ask: disclosure.AnswerWithdraw, Text: normalize(ask.Reason)})
	}
	return a, faults.Err()
}

// judgeAdded takes an armored message of any size, and words up to a megabyte.
func (s *set) judgeAdded(text string) (judged, error) {
	if len(text) <= wholeInMemory {
		j := s.judge([]byte(text))
		if j.fault != "" {
			return j, problem(faultKind([]byte(text)), http.StatusUnprocessableEntity, "This cannot be read by us", j.fault)
		}
		return j, nil
	}
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n\ufeff"), "-----BEGIN PGP MESSAGE-----") {
		return judged{}, problem("too-large", http.StatusRequestEntityTooLarge, "Plain text is taken up to a megabyte", "Nothing was stored. Encrypt it, or send it as a file.")
	}
	j := s.judgeHead([]byte(text[:wholeInMemory]))
	var end tail
	_, _ = end.Write([]byte(text[len(text)-tailSize:]))
	switch {
	case j.fault != "":
		return j, problem("not-for-us", http.StatusUnprocessableEntity, "This cannot be read by us", j.fault)
	case !end.whole():
		return j, problem("broken-armor", http.StatusUnprocessableEntity, "This cannot be read by us", s.says().CutOff)
	}
	return j, nil
}
