package gate

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/postgres/gatedb"
	"postern/internal/server"
	"postern/internal/vault"
	"postern/web/public"
	"postern/web/ui"
)

// Sizes of typed fields; files and encrypted messages are bounded by the policy.
const (
	maxField = 1 << 20 // of one field, bytes
	maxTyped = 2 << 20 // of all fields of one form
	maxRaw   = 4 << 20 // of a form without files, as it is encoded
)

func (g *Gate) reportView(s *set) public.ReportView {
	p := s.policy()
	return public.ReportView{
		Gate: g.frame(ui.NavReport), Readers: p.Contact.Readers, Answer: p.Ack.Within, Next: p.Intake.Next,
		Key: s.key(g.c.Now()), MaxBytes: p.Intake.MaxBytes, Asks: p.Intake.Asks,
		Mails:       p.InClear(disclosure.LetterNews, false) == disclosure.ClearMay,
		Idempotency: newKey(), Browser: ui.HasVendor() && s.cert != nil,
	}
}

// newKey is an idempotency key of 160 bits: a code made with it is as hard to
// guess as one made at random.
func newKey() string { return vault.NewID() + vault.NewID()[:8] }

func (g *Gate) reportForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	if s.file.Notice != "" {
		return server.Render(w, r, http.StatusOK, public.Paused(public.PausedView{Gate: g.frame(ui.NavReport), Key: s.key(g.c.Now())}))
	}
	v := g.reportView(s)
	if g.line.waits(g.server.AddressKey(r)) {
		v.Note, v.MaxBytes = s.says().Slow, slowBytes
	}
	return server.Render(w, r, http.StatusOK, public.Report(v))
}

// form is a report form as it streams in: fields in memory, files and the
// browser's own message into the intake.
type form struct {
	in     *intake
	values map[string]string
	typed  int
	files  []public.FileDigest
	// armored is the browser's message, if there was one.
	armored *disclosure.ArrivalPart
	twice   string // a field that came twice with two texts
	many    bool   // more files than are taken at once
	head    []byte // its beginning, for telling whom it is for
	cut     bool   // its end is not there
}

// report takes the form. Whatever goes wrong before the commit, the text comes
// back with what to do; after it there is the receipt.
func (g *Gate) report(w http.ResponseWriter, r *http.Request) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	in, err := g.begin(r.Context(), s, disclosure.ArrivalReport, disclosure.ByForm)
	if errors.Is(err, errBusy) || errors.Is(err, errTooMany) {
		return g.noPlace(w, r, s, err)
	}
	if err != nil {
		return err
	}
	defer in.close()
	f := &form{in: in, values: map[string]string{}}
	err = f.read(r)
	if f.secret() { // whatever else is wrong
		return g.refuseSecret(w, r, s, f)
	}
	switch {
	case err != nil:
	case paceOf(r.Context()) == paceOver:
		err = errTooMany
	case s.file.Notice != "":
		err = errPaused
	}
	if answer, ok := g.formProblem(s, f, err); ok {
		in.close() // however slowly the page is read
		return server.Render(w, r, answer.status, public.Report(answer.view))
	}
	if err != nil {
		return err
	}
	j, faults := f.judge(s)
	if len(faults) > 0 {
		v := g.reportView(s)
		v.Form, v.Faults, v.Idempotency = f.form(s), faults, f.key()
		in.close()
		return server.Render(w, r, http.StatusUnprocessableEntity, public.Report(v))
	}
	got, sum, digestOf, err := f.store(r, j)
	in.close()
	if answer, ok := g.formProblem(s, f, err); ok {
		return server.Render(w, r, answer.status, public.Report(answer.view))
	}
	if err != nil {
		return err
	}
	p := s.policy()
	return server.Render(w, r, http.StatusCreated, public.Receipt(public.ReceiptView{
		Gate: g.frame(ui.NavReport), Code: got.Code.Words(), At: g.c.URL + public.PathMailbox, Received: got.Received, Digest: sum, DigestOf: digestOf,
		Files: f.files, Protection: j.protection(), InBrowser: f.armored != nil && j.toKey != "",
		Readers: p.Contact.Readers, Answer: p.Ack.Within, Next: p.Intake.Next,
	}))
}

// noPlace gives back the first of what was typed when there is no place to
// take a report.
func (g *Gate) noPlace(w http.ResponseWriter, r *http.Request, s *set, why error) error {
	r.Body = http.MaxBytesReader(w, r.Body, smallBody)
	f := &form{values: map[string]string{}}
	_ = f.read(r) // what can be read of it is given back
	if f.secret() {
		v := g.reportView(s)
		v.SecretKey = true
		return server.Render(w, r, http.StatusUnprocessableEntity, public.Report(v))
	}
	answer, _ := g.formProblem(s, f, why)
	w.Header().Set("Retry-After", "5")
	return server.Render(w, r, answer.status, public.Report(answer.view))
}

type formAnswer struct {
	status int
	view   public.ReportView
}

// formProblem answers what went wrong on our side, or with a size, by the form
// with its text kept. The same idempotency key stays in it: if the database did
// commit after all, sending again finds the very same arrival.
func (g *Gate) formProblem(s *set, f *form, err error) (formAnswer, bool) {
	v := g.reportView(s)
	v.Form, v.Idempotency = f.form(s), f.key()
	var size *http.MaxBytesError
	var again twiceError
	switch {
	case err == nil:
		return formAnswer{}, false
	case errors.Is(err, errTooMany):
		v.Note = s.says().Over
		return formAnswer{http.StatusTooManyRequests, v}, true
	case errors.Is(err, errPaused):
		v.Note = s.says().Paused + " " + s.file.Notice
		return formAnswer{http.StatusServiceUnavailable, v}, true
	case errors.As(err, &again):
		v.Faults = []disclosure.Fault{fieldFault(string(again), s.says().Twice)}
		return formAnswer{http.StatusUnprocessableEntity, v}, true
	case errors.Is(err, errMany):
		v.Faults = []disclosure.Fault{fieldFault(public.FieldFiles, ui.Say(s.says().ManyFiles, maxFiles))}
		return formAnswer{http.StatusUnprocessableEntity, v}, true
	case errors.Is(err, errForm):
		v.Note = s.says().Unread
		return formAnswer{http.StatusBadRequest, v}, true
	case errors.As(err, &size) && size.Limit == slowBytes:
		v.Note = s.says().Slow
		return formAnswer{http.StatusRequestEntityTooLarge, v}, true
	case errors.Is(err, gatedb.ErrUnavailable), errors.Is(err, errNoRoom), errors.Is(err, errBusy):
		v.NotStored = true
		return formAnswer{http.StatusServiceUnavailable, v}, true
	case errors.Is(err, errTooLarge), errors.As(err, &size):
		v.Faults = []disclosure.Fault{fieldFault(public.FieldFiles, ui.Say(s.says().TooLarge, megabytes(s.policy().Intake.MaxBytes)))}
		return formAnswer{http.StatusRequestEntityTooLarge, v}, true
	case errors.Is(err, errTyped):
		v.Faults = []disclosure.Fault{fieldFault(public.FieldDescription, s.says().TooLong)}
		return formAnswer{http.StatusRequestEntityTooLarge, v}, true
	}
	return formAnswer{}, false
}

// secret says whether any field holds a private key.
func (f *form) secret() bool {
	for _, text := range f.values {
		if holdsSecret(text) {
			return true
		}
	}
	return false
}

// refuseSecret takes no report, keeps no word of what was typed on the page,
// and seals what came, so that the team can tell its owner should they ask.
// Sealing it is not promised: if it fails, the warning is what counts.
func (g *Gate) refuseSecret(w http.ResponseWriter, r *http.Request, s *set, f *form) error {
	in := f.in
	in.header.Secret = true
	key := f.key()
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if text := f.get(name); text != "" && name != public.FieldKey {
			if _, err := in.add(disclosure.PartText, "", "", strings.NewReader(text)); err != nil {
				break
			}
		}
	}
	sum := in.body.digest()
	if _, err := in.store(r.Context(), key, nil, hex.EncodeToString(sum[:])); err != nil {
		g.c.Log.Warn("a refused private key was not sealed", "request", server.RequestID(r.Context()), "error", err)
	}
	v := g.reportView(s)
	v.SecretKey = true
	return server.Render(w, r, http.StatusUnprocessableEntity, public.Report(v))
}

var (
	errTyped = errors.New("a typed field is too long")
	errForm  = disclosure.Refuse("", ui.English.Intake.Unread)
	// errPaused: the policy has paused intake.
	errPaused = errors.New("intake is paused")
)

// read streams the form. A form that is not multipart is read as fields alone.
func (f *form) read(r *http.Request) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return readFields(r, f.values, maxField, maxTyped)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return errForm
	}
	for range maxParts {
		p, err := parts.NextPart()
		switch {
		case err == io.EOF && f.many:
			return errMany
		case err == io.EOF && f.twice != "":
			return twiceError(f.twice)
		case err == io.EOF:
			return nil
		case err != nil:
			return broken(err)
		}
		if err := f.part(p); err != nil {
			return err
		}
	}
	return errForm
}

// maxFiles is how many files one form takes; of a form with more the rest is
// read and dropped, up to maxParts, so that its sender reads the answer.
const (
	maxFiles = 150
	maxParts = 10_000
)

// errMany: more files than maxFiles came.
var errMany = errors.New("too many files at once")

// twiceError names a field that came twice with two texts, of which a page
// that has it once would show, and keep, one alone.
type twiceError string

func (e twiceError) Error() string { return fmt.Sprintf("the field %.40q came twice", string(e)) }

// Unwrap makes it a form that cannot be taken, for who has no word of its own.
func (e twiceError) Unwrap() error { return errForm }

// put keeps a field. Of one that comes again with another text both are kept,
// to be shown, and it is true.
func put(values map[string]string, name, text string) (twice bool) {
	before, known := values[name]
	switch {
	case !known || before == "":
		values[name] = text
	case text != "" && text != before && name != public.FieldKey:
		values[name] = before + "\n\n" + text
		return true
	}
	return false
}

// readFields reads a form without files, and what can be read of a bad one:
// fields of at most field bytes, of at most total together.
func readFields(r *http.Request, values map[string]string, field, total int) error {
	r.Body = http.MaxBytesReader(nil, r.Body, maxRaw)
	err := r.ParseForm()
	sum, again := 0, ""
	for name, list := range r.PostForm {
		for _, text := range list {
			sum += len(name) + len(text)
		}
		values[name] = list[0]
		if len(list[0]) > field && err == nil {
			err = errTyped
		}
		for _, text := range list[1:] {
			if put(values, name, text) {
				again = name
			}
		}
	}
	if sum > total && err == nil {
		err = errTyped
	}
	var size *http.MaxBytesError
	switch {
	case err == nil && again != "":
		return twiceError(again)
	case err == nil:
		return nil
	case errors.Is(err, errTyped), errors.As(err, &size) && size.Limit == maxRaw:
		return errTyped
	}
	return broken(err)
}

// broken tells a size limit from a connection that ended early.
func broken(err error) error {
	var size *http.MaxBytesError
	if errors.As(err, &size) {
		return err
	}
	return errForm
}

func (f *form) part(p *multipart.Part) error {
	defer p.Close()
	name := p.FormName()
	switch {
	case name == public.FieldFiles:
		if p.FileName() == "" {
			return nil // the field was left empty
		}
		if f.in == nil {
			return errBusy
		}
		if f.many = f.many || len(f.files) == maxFiles; f.many {
			return nil
		}
		part, err := f.in.add(disclosure.PartFile, p.FileName(), p.Header.Get("Content-Type"), p)
		if err != nil {
			return ours(err)
		}
		f.files = append(f.files, public.FileDigest{Name: part.Name, Size: part.Size, SHA256: part.SHA256})
		return nil
	case name == public.FieldArmored && f.in == nil:
		return errBusy
	case name == public.FieldArmored:
		return f.readArmored(p)
	}
	b, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil {
		return broken(err)
	}
	if f.typed += len(b); len(b) > maxField || f.typed > maxTyped {
		return errTyped
	}
	if put(f.values, name, string(b)) {
		f.twice = name
	}
	return nil
}

// ours passes on what the spool or the limit said, and turns the rest, which
// the connection said, into "send it again".
func ours(err error) error {
	if errors.Is(err, errTooLarge) || errors.Is(err, errNoRoom) {
		return err
	}
	return broken(err)
}

// readArmored streams the message our page made in the browser. Its beginning
// is kept for telling whom it is for.
func (f *form) readArmored(p *multipart.Part) error {
	head, err := io.ReadAll(io.LimitReader(p, 32<<10))
	if err != nil {
		return broken(err)
	}
	if len(strings.TrimSpace(string(head))) == 0 {
		return nil // without script the field is empty
	}
	if f.armored != nil {
		f.twice = public.FieldDescription // which the message stands for
		return nil
	}
	var end tail
	f.in.armored()
	part, err := f.in.add(disclosure.PartOpenPGP, "", "application/pgp-encrypted", io.TeeReader(io.MultiReader(strings.NewReader(string(head)), p), &end))
	if err != nil {
		return ours(err)
	}
	if !end.whole() {
		f.cut = true
	}
	f.armored, f.head = &part, head
	return nil
}

func (f *form) get(name string) string { return normalize(f.values[name]) }

// key is the form's idempotency key; one is made, and kept, where none fits.
func (f *form) key() string {
	if k := f.values[public.FieldKey]; len(k) < leastKey || len(k) > 200 {
		f.values[public.FieldKey] = newKey()
	}
	return f.values[public.FieldKey]
}

// form is what was typed, to be shown again: the description whole.
func (f *form) form(s *set) public.ReportForm {
	short := func(name string) string { return s.echo(f.get(name), echoed) }
	v := public.ReportForm{
		Description: s.echo(f.get(public.FieldDescription), maxField), Versions: short(public.FieldVersions), Reproduce: short(public.FieldReproduce),
		Impact: short(public.FieldImpact), Address: short(public.FieldAddress), Name: short(public.FieldName),
		OwnKey: short(public.FieldOwnKey), Asks: map[string]string{},
	}
	for name := range f.values {
		if ask, ok := strings.CutPrefix(name, public.FieldAsk); ok {
			v.Asks[ask] = short(name)
		}
	}
	return v
}

// judge says how the text is taken and lists every fault at once.
func (f *form) judge(s *set) (judged, []disclosure.Fault) {
	var faults []disclosure.Fault
	text := f.get(public.FieldDescription)
	var j judged
	switch {
	case f.cut:
		j.fault = s.says().CutOff
	case f.armored != nil:
		j = s.judgeHead(f.head)
	case strings.TrimSpace(text) == "":
		faults = append(faults, fieldFault(public.FieldDescription, s.says().Empty))
	default:
		j = s.judge([]byte(text))
	}
	if j.fault != "" {
		faults = append(faults, fieldFault(public.FieldDescription, j.fault))
	}
	if a := strings.TrimSpace(f.get(public.FieldAddress)); a != "" && !plausibleAddress(a) {
		faults = append(faults, fieldFault(public.FieldAddress, s.says().NoAddress))
	}
	cert, fault := s.ownKey(f.values[public.FieldOwnKey])
	if fault != "" {
		faults = append(faults, fieldFault(public.FieldOwnKey, fault))
	}
	f.in.header.Key = cert
	return j, faults
}

// plausibleAddress is a first look; nothing is ever trusted because of it.
func plausibleAddress(a string) bool {
	at := strings.LastIndexByte(a, '@')
	return at > 0 && at < len(a)-1 && len(a) <= 254 && !strings.ContainsAny(a, " \t\r\n,;<>\"\\") && strings.Count(a, "@") == 1
}

// store writes the typed text behind what has streamed in already, and seals all.
func (f *form) store(r *http.Request, j judged) (receipt, string, public.DigestOf, error) {
	in := f.in
	in.header.Name = oneLine(f.get(public.FieldName), 200)
	in.header.Address = strings.TrimSpace(f.get(public.FieldAddress))
	in.header.ToKey = j.toKey
	digestOf := public.DigestOfDescription
	var sum string
	if f.armored != nil {
		in.header.ClientEncrypted = true
		sum, digestOf = f.armored.SHA256, public.DigestOfMessage
	} else {
		text := f.get(public.FieldDescription)
		if j.kind == disclosure.PartOpenPGP {
			digestOf = public.DigestOfMessage
		}
		part, err := in.add(j.kind, "", "", strings.NewReader(text))
		if err != nil {
			return receipt{}, "", "", err
		}
		sum = part.SHA256
	}
	for _, a := range []struct{ ask, field string }{
		{"versions", public.FieldVersions}, {"reproduce", public.FieldReproduce}, {"impact", public.FieldImpact},
	} {
		if text := strings.TrimSpace(f.get(a.field)); text != "" {
			in.header.Answers = append(in.header.Answers, disclosure.Answer{Ask: a.ask, Text: text})
		}
	}
	for _, ask := range in.set.policy().Intake.Asks {
		if text := strings.TrimSpace(f.get(public.FieldAsk + ask)); text != "" {
			in.header.Answers = append(in.header.Answers, disclosure.Answer{Ask: ask, Text: text})
		}
	}
	got, err := in.store(r.Context(), f.key(), nil, sum)
	return got, sum, digestOf, err
}

func oneLine(text string, limit int) string {
	text = disclosure.ShowLine(strings.Join(strings.Fields(text), " "))
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit])
	}
	return text
}

func megabytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }
