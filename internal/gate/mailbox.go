package gate

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/server"
	"postern/internal/vault"
	"postern/web/public"
	"postern/web/ui"
)

func (g *Gate) mailboxForm(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.current(); err != nil {
		return err
	}
	if token := r.URL.Query().Get(public.FieldInvite); token != "" && len(token) <= 100 {
		return server.Render(w, r, http.StatusOK, public.MailboxInvite(public.MailboxInviteView{Gate: g.frame(ui.NavMailbox), Token: token, Idempotency: newKey()}))
	}
	return server.Render(w, r, http.StatusOK, public.MailboxEnter(public.MailboxEnterView{Gate: g.frame(ui.NavMailbox)}))
}

// codeFault says what is wrong with a code, to the person who typed it.
func (s *set) codeFault(err error) disclosure.Fault {
	t := s.says()
	text := t.NoCode
	var ce *vault.CodeError
	if errors.As(err, &ce) {
		switch ce.Problem {
		case vault.CodeTooLong:
			text = t.CodeLong
		case vault.CodeWordCount:
			text = ui.Say(t.CodeCount, ce.Count)
		case vault.CodeUnknownWord:
			text = ui.Say(t.CodeWord, ce.Position, ce.Word)
			if len(ce.Nearest) > 0 {
				text += " " + ui.Say(t.CodeNear, strings.Join(ce.Nearest, t.CodeOr))
			}
		case vault.CodeChecksum:
			text = t.CodeOrder
		}
	}
	return fieldFault(public.FieldCode, text)
}

// mailboxRequest is a mailbox form as sent. Files have streamed into an intake
// of their own; close gives it back.
type mailboxRequest struct {
	values  map[string]string
	typed   int
	files   *intake // where a body that is not small has its place
	n       int     // of files
	many    bool    // more than are taken at once
	twice   string  // a field that came twice with two texts
	refused error   // there was no place for it
	armored *armoredPart
}

func (q *mailboxRequest) get(name string) string { return normalize(q.values[name]) }

func (q *mailboxRequest) close() {
	if q.files != nil {
		q.files.close()
	}
}

// readMailbox reads a mailbox form. Files are bounded like a report's.
func (g *Gate) readMailbox(s *set, r *http.Request) (*mailboxRequest, error) {
	q := &mailboxRequest{values: map[string]string{}}
	if large(r) {
		if q.files, q.refused = g.begin(r.Context(), s, disclosure.ArrivalMessage, disclosure.ByMailbox); q.refused != nil {
			r.Body = http.MaxBytesReader(nil, r.Body, smallBody)
			_ = g.readParts(s, r, q) // what can be read of it is given back
			return q, q.refused
		}
	}
	return q, g.readParts(s, r, q)
}

// Sizes of what is typed into a mailbox.
const (
	maxWords    = 256 << 10 // of one field, bytes
	maxAllWords = 512 << 10 // of all fields of one form
)

func (g *Gate) readParts(s *set, r *http.Request, q *mailboxRequest) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return readFields(r, q.values, maxWords, maxAllWords)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return errForm
	}
	for range maxParts {
		p, err := parts.NextPart()
		switch {
		case err == io.EOF && q.many:
			return errMany
		case err == io.EOF && q.twice != "":
			return twiceError(q.twice)
		case err == io.EOF:
			return nil
		case err != nil:
			return broken(err)
		}
		switch p.FormName() {
		case public.FieldFiles:
			err = g.readFile(r.Context(), s, q, p)
		case public.FieldArmored:
			err = g.readArmored(r.Context(), s, q, p)
		default:
			err = q.field(p)
		}
		if err != nil {
			return err
		}
	}
	return errForm
}

// place sees to it that what streams in has an intake.
func (g *Gate) place(ctx context.Context, s *set, q *mailboxRequest) (err error) {
	if q.refused == nil && q.files == nil {
		q.files, err = g.begin(ctx, s, disclosure.ArrivalMessage, disclosure.ByMailbox)
		return err
	}
	return q.refused
}

// armoredPart is the message our page made in the browser, of text and files.
type armoredPart struct {
	disclosure.ArrivalPart
	head []byte // its beginning, for telling whom it is for
	cut  bool   // its end is not there
}

// readArmored streams that message. Without script the field is empty.
func (g *Gate) readArmored(ctx context.Context, s *set, q *mailboxRequest, p *multipart.Part) error {
	head, err := io.ReadAll(io.LimitReader(p, 32<<10))
	if err != nil {
		return broken(err)
	}
	if len(bytes.TrimSpace(head)) == 0 || q.armored != nil {
		return nil
	}
	if err := g.place(ctx, s, q); err != nil {
		return err
	}
	var end tail
	q.files.armored()
	part, err := q.files.add(disclosure.PartOpenPGP, "", "application/pgp-encrypted", io.TeeReader(io.MultiReader(bytes.NewReader(head), p), &end))
	if err != nil {
		return ours(err)
	}
	q.armored = &armoredPart{part, head, !end.whole()}
	return nil
}

func (g *Gate) readFile(ctx context.Context, s *set, q *mailboxRequest, p *multipart.Part) error {
	if p.FileName() == "" {
		return nil // the field was left empty
	}
	if q.many = q.many || q.n == maxFiles; q.many {
		return nil
	}
	if err := g.place(ctx, s, q); err != nil {
		return err
	}
	if _, err := q.files.add(disclosure.PartFile, p.FileName(), p.Header.Get("Content-Type"), p); err != nil {
		return ours(err)
	}
	q.n++
	return nil
}

func (q *mailboxRequest) field(p *multipart.Part) error {
	b, err := io.ReadAll(io.LimitReader(p, maxWords+1))
	if err != nil {
		return broken(err)
	}
	if q.typed += len(b); len(b) > maxWords || q.typed > maxAllWords {
		return errTyped
	}
	if put(q.values, p.FormName(), string(b)) {
		q.twice = p.FormName()
	}
	return nil
}

// mailbox shows a mailbox, and does what its forms ask. The code stands in the
// body of the request and in hidden fields of the answer, nowhere else.
func (g *Gate) mailbox(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	q, failed := g.readMailbox(s, r)
	defer q.close()
	if failed == nil && paceOf(r.Context()) == paceOver {
		failed = errTooMany
	}
	if q.values[public.FieldDo] == public.DoInvite && failed == nil {
		return g.makeMailbox(w, r, s, q)
	}
	code, err := vault.ParseCode(q.values[public.FieldCode])
	if err != nil {
		if failed != nil {
			return failed
		}
		v := public.MailboxEnterView{Gate: g.frame(ui.NavMailbox), Code: oneLine(q.values[public.FieldCode], 200), Faults: []disclosure.Fault{s.codeFault(err)}}
		if holdsSecret(q.values[public.FieldCode]) {
			v.Code = ""
		}
		return server.Render(w, r, http.StatusUnprocessableEntity, public.MailboxEnter(v))
	}
	box := code.Mailbox(s.instance)
	v := public.MailboxView{Gate: g.frame(ui.NavMailbox), Code: strings.Join(code.Words(), " "), Idempotency: newKey(),
		MaxBytes: s.policy().Intake.MaxBytes, Key: s.key(g.c.Now()), Browser: ui.HasVendor() && s.cert != nil}
	status := g.act(r.Context(), s, box, q, failed, &v)
	q.close()
	if q.values[public.FieldDo] == public.DoFile && failed == nil {
		n, err := strconv.Atoi(q.values[public.FieldFile])
		if err != nil {
			return disclosure.ErrNotFound
		}
		return g.sendFile(w, r, s, box, q.values[public.FieldItem], n)
	}
	var items []disclosure.MailboxItem
	if !errors.Is(failed, errTooMany) {
		items, err = g.items(r.Context(), s, box)
	}
	if err != nil && v.Added == nil && v.Done == "" && !v.NotStored {
		return err
	}
	fill(&v, items)
	return server.Render(w, r, status, public.Mailbox(v))
}

// mailboxProblem says what went wrong while the form was read; the form comes
// back with its text.
func (s *set) mailboxProblem(err error) (int, disclosure.Fault) {
	var size *http.MaxBytesError
	var again twiceError
	switch {
	case errors.As(err, &again):
		return http.StatusUnprocessableEntity, fieldFault(string(again), s.says().Twice)
	case errors.Is(err, errMany):
		return http.StatusUnprocessableEntity, fieldFault(public.FieldFiles, ui.Say(s.says().ManyFiles, maxFiles))
	case errors.Is(err, errTooMany):
		return http.StatusTooManyRequests, fieldFault(public.FieldText, s.says().Over)
	case errors.As(err, &size) && size.Limit == slowBytes:
		return http.StatusRequestEntityTooLarge, fieldFault(public.FieldText, s.says().Slow)
	case errors.Is(err, errTooLarge), errors.Is(err, errTyped), errors.As(err, &size):
		return http.StatusRequestEntityTooLarge, fieldFault(public.FieldText, s.says().AddLarge)
	}
	return http.StatusBadRequest, fieldFault(public.FieldText, s.says().Unread)
}

// act does what the form asks and notes the outcome in the view.
func (g *Gate) act(ctx context.Context, s *set, box *vault.Mailbox, q *mailboxRequest, failed error, v *public.MailboxView) int {
	back := func(name string) string { return s.echo(q.get(name), echoed) }
	v.Form = public.MailboxForm{Text: back(public.FieldText), CreditWish: q.values[public.FieldCreditWish],
		CreditText: back(public.FieldCreditText), OwnKey: back(public.FieldOwnKey), Reason: back(public.FieldReason)}
	for _, text := range q.values {
		if holdsSecret(text) {
			return g.actSecret(ctx, s, box, q, v)
		}
	}
	if busy := errors.Is(failed, errBusy) || errors.Is(failed, errNoRoom); busy {
		v.NotStored, v.Idempotency = true, q.key()
		return http.StatusServiceUnavailable
	}
	if failed != nil {
		status, fault := s.mailboxProblem(failed)
		v.Faults = []disclosure.Fault{fault}
		return status
	}
	a, done, faults := s.addition(q)
	if len(faults) > 0 {
		v.Faults = faults
		return http.StatusUnprocessableEntity
	}
	if a == nil {
		return http.StatusOK
	}
	key := q.key()
	got, err := g.addMessage(ctx, s, box, key, *a, q.files)
	if err != nil {
		g.c.Log.Warn("an addition was not stored", "request", server.RequestID(ctx), "error", err)
		v.NotStored, v.Idempotency = true, key
		return http.StatusServiceUnavailable
	}
	v.Form = public.MailboxForm{}
	v.Done = done
	if done == "" {
		v.Added = &public.MailboxItem{At: got.Received, Size: a.size(), Digest: got.SHA256, Files: q.n}
	}
	return http.StatusOK
}

func (q *mailboxRequest) key() string {
	if k := q.values[public.FieldKey]; len(k) >= leastKey && len(k) <= 200 {
		return k
	}
	return newKey()
}

// actSecret seals what came and keeps no word of it on the page.
func (g *Gate) actSecret(ctx context.Context, s *set, box *vault.Mailbox, q *mailboxRequest, v *public.MailboxView) int {
	v.Form = public.MailboxForm{}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if name != public.FieldCode && name != public.FieldKey {
			all.WriteString(q.get(name) + "\n")
		}
	}
	if _, err := g.addMessage(ctx, s, box, q.key(), addition{text: all.String(), secret: true}, q.files); err != nil {
		g.c.Log.Warn("a refused private key was not sealed", "request", server.RequestID(ctx), "error", err)
	}
	v.Faults = []disclosure.Fault{fieldFault(public.FieldText, s.says().Secret+" "+s.says().SecretHow)}
	return http.StatusUnprocessableEntity
}

// addition is what somebody adds to a mailbox: a message, or a wish.
type addition struct {
	text    string
	armored *armoredPart        // in the intake already; there is no text then
	kind    disclosure.PartKind // of the text; empty: PartText
	toKey   string
	secret  bool // it holds a private key: sealed, never shown
	credit  disclosure.CreditWish
	as      string // exact credit text
	key     []byte
	answers []disclosure.Answer
}

// digest is of what was written, hex; empty when nothing was.
func (a *addition) digest() string {
	switch {
	case a.armored != nil:
		return a.armored.SHA256
	case a.text != "":
		return hexSum([]byte(a.text))
	}
	return ""
}

func (a *addition) size() int64 {
	if a.armored != nil {
		return a.armored.Size
	}
	return int64(len(a.text))
}

// addition judges a mailbox form. nil: it only asks to see the mailbox.
func (s *set) addition(q *mailboxRequest) (*addition, string, []disclosure.Fault) {
	switch q.values[public.FieldDo] {
	case public.DoAdd:
		text := q.get(public.FieldText)
		if q.armored != nil {
			j := s.judgeHead(q.armored.head)
			if q.armored.cut {
				j.fault = s.says().CutOff
			}
			if j.fault != "" {
				return nil, "", []disclosure.Fault{fieldFault(public.FieldText, j.fault)}
			}
			return &addition{armored: q.armored, toKey: j.toKey}, "", nil
		}
		if strings.TrimSpace(text) == "" && q.n == 0 {
			return nil, "", []disclosure.Fault{fieldFault(public.FieldText, s.says().AddEmpty)}
		}
		j := s.judge([]byte(text))
		if j.fault != "" {
			return nil, "", []disclosure.Fault{fieldFault(public.FieldText, j.fault)}
		}
		return &addition{text: text, kind: j.kind, toKey: j.toKey}, "", nil
	case public.DoCredit:
		wish := disclosure.CreditWish(q.values[public.FieldCreditWish])
		as := oneLine(q.get(public.FieldCreditText), 500)
		switch {
		case disclosure.Hidden(strings.TrimSpace(q.get(public.FieldCreditText))):
			return nil, "", []disclosure.Fault{fieldFault(public.FieldCreditText, s.says().CreditLine)}
		case wish == disclosure.CreditYes && as == "":
			return nil, "", []disclosure.Fault{fieldFault(public.FieldCreditText, s.says().CreditName)}
		case wish != disclosure.CreditYes && wish != disclosure.CreditNo && wish != disclosure.CreditUnset:
			return nil, "", []disclosure.Fault{fieldFault(public.FieldCreditWish, s.says().CreditWish)}
		}
		return &addition{credit: wish, as: as, answers: []disclosure.Answer{{Ask: disclosure.AnswerCredit, Text: string(wish)}}},
			s.says().CreditDone, nil
	case public.DoKey:
		cert, fault := s.ownKey(q.values[public.FieldOwnKey])
		if fault == "" && cert == nil {
			fault = s.says().KeyEmpty
		}
		if fault != "" {
			return nil, "", []disclosure.Fault{fieldFault(public.FieldOwnKey, fault)}
		}
		return &addition{key: cert, answers: []disclosure.Answer{{Ask: disclosure.AnswerKey}}}, s.says().KeyDone, nil
	case public.DoWithdraw:
		if q.values[public.FieldWithdraw] != "yes" {
			return nil, "", []disclosure.Fault{fieldFault(public.FieldWithdraw, s.says().Withdraw)}
		}
		return &addition{answers: []disclosure.Answer{{Ask: disclosure.AnswerWithdraw, Text: q.get(public.FieldReason)}}},
			s.says().Withdrawn, nil
	}
	return nil, "", nil
}

// addMessage stores what is added. It works whether or not the mailbox is
// known to anybody: the gate cannot tell. in has the files; nil: there are none.
func (g *Gate) addMessage(ctx context.Context, s *set, box *vault.Mailbox, key string, a addition, in *intake) (_ receipt, err error) {
	if in == nil {
		if in, err = g.begin(ctx, s, disclosure.ArrivalMessage, disclosure.ByMailbox); err != nil {
			return receipt{}, err
		}
		defer in.close()
	}
	in.header.Credit, in.header.CreditText, in.header.Key = a.credit, a.as, a.key
	in.header.Answers, in.header.ToKey, in.header.Secret = a.answers, a.toKey, a.secret
	kind := a.kind
	if kind == "" {
		kind = disclosure.PartText
	}
	sum := a.digest()
	if sum == "" && in.body.Size() > 0 { // files alone
		all := in.body.digest()
		sum = hex.EncodeToString(all[:])
	}
	in.header.ClientEncrypted = a.armored != nil
	if a.text != "" {
		if _, err := in.add(kind, "", "", strings.NewReader(a.text)); err != nil {
			return receipt{}, err
		}
	}
	return in.store(ctx, key, box, sum)
}
