package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// arrivals opens what came, in order, while the vault is unlocked.
func (w *Work) arrivals(ctx context.Context) (int, error) {
	for did := range batch {
		if !w.unlocked() {
			return did, nil
		}
		ring, _, err := w.keys.get(ctx)
		if err != nil {
			return did, err
		}
		var answer *receipt
		found, err := w.c.DB.NextArrival(ctx, by("arrivals"), func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
			r := &reader{w: w, a: a, ring: ring}
			opened, err := r.open(ctx)
			answer = r.receipt // of the last try
			return opened, err
		})
		if err != nil {
			return did, fmt.Errorf("open an arrival: %w", err)
		}
		if !found {
			return did, nil
		}
		w.Stats.Opened.Add(1)
		if answer != nil {
			w.acknowledge(ctx, *answer)
		}
	}
	return batch, nil
}

// again opens once more what a member asked for. Nothing is answered.
func (w *Work) again(ctx context.Context) (int, error) {
	for did := range batch {
		if !w.unlocked() {
			return did, nil
		}
		ring, _, err := w.keys.get(ctx)
		if err != nil {
			return did, err
		}
		found, err := w.c.DB.NextAgain(ctx, by("arrivals"), func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
			r := &reader{w: w, a: a, ring: ring}
			return r.open(ctx)
		})
		if err != nil {
			return did, fmt.Errorf("open an arrival again: %w", err)
		}
		if !found {
			return did, nil
		}
	}
	return batch, nil
}

// maxText bounds the text of one arrival as the desk shows it; the original
// keeps all of it.
const maxText = 1 << 20

// reader finds out what one arrival says. What it finds it keeps in memory, and
// hands over at the end: what cannot be read must not keep the rest from being
// stored.
type reader struct {
	w    *Work
	a    *postgres.Arrival
	ring pgp.Ring

	title    string
	text     strings.Builder
	files    []foundFile
	found    []disclosure.Protection // one for each part of the body
	problems []string
	key      []byte
	name     string
	address  string

	mailID  string
	checked []string
	bounce  *postgres.Bounce
	receipt *receipt
}

// foundFile lies in memory, or where it stands in the body.
type foundFile struct {
	label, media string
	bytes        []byte
	at, size     int64 // in the body, when bytes is nil
}

// ours marks an error that is not the sender's doing.
type ours struct{ error }

func (e ours) Unwrap() error { return e.error }

// open reads the arrival. Its errors are the database's alone: whatever a
// stranger wrote becomes a case, with its original kept.
func (r *reader) open(ctx context.Context) (postgres.Opened, error) {
	if r.a.Header.Secret { // nothing of what came is read
		return postgres.Opened{Title: secretTitle, Protection: sealed, Attention: secretWords}, nil
	}
	err := r.read(ctx)
	switch {
	case ctx.Err() != nil:
		return postgres.Opened{}, ctx.Err()
	case errors.As(err, new(ours)), errors.Is(err, vault.ErrLocked):
		return postgres.Opened{}, err // tried again later
	case err != nil:
		r.problem("It could not be read: " + err.Error() + ".")
	}
	if r.bounce != nil { // the original is kept, and all that is in it
		return postgres.Opened{Bounce: r.bounce}, nil
	}
	for i, f := range r.files {
		src := io.Reader(bytes.NewReader(f.bytes))
		if f.bytes == nil {
			if _, err := r.a.Body.Seek(f.at, io.SeekStart); err != nil {
				return postgres.Opened{}, fmt.Errorf("go to a file in the body: %w", err)
			}
			src = io.LimitReader(r.a.Body, f.size)
		}
		label := f.label
		if strings.TrimSpace(label) == "" {
			label = fmt.Sprintf("file-%d", i+1)
		}
		if _, err := r.a.AddFile(ctx, label, f.media, src); err != nil {
			return postgres.Opened{}, fmt.Errorf("store a file of an arrival: %w", err)
		}
	}
	opened := r.opened()
	opened.KeyPrint, opened.Receipt = keyPrint(r.key), r.signedReceipt(ctx)
	return opened, nil
}

func (r *reader) opened() postgres.Opened {
	h := r.a.Header
	for _, answer := range h.Answers {
		if wish := wishWords(h, answer); r.a.Kind == disclosure.ArrivalMessage && wish != "" {
			r.paragraph(wish)
			if answer.Ask == disclosure.AnswerWithdraw {
				r.section("Reason", answer.Text)
			}
			continue
		}
		r.section(askWords(answer.Ask), answer.Text)
	}
	p := together(r.found)
	text := r.text.String()
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
		r.problem("The text is longer than can be shown; the rest is in the original.")
	}
	title := cleanTitle(h.Title)
	if title == "" {
		title = r.title
	}
	if title == "" {
		title = firstLine(text)
	}
	switch {
	case title != "":
	case p.Encryption == disclosure.Unopened:
		title = "A message that could not be opened"
	default:
		title = "A report without text"
	}
	return postgres.Opened{
		Title: title, Text: text, Protection: p, Name: r.name, Address: r.address, Key: r.key,
		MailID: r.mailID, Checked: r.checked, Attention: strings.Join(r.problems, " "),
	}
}

func (r *reader) problem(text string) {
	for _, p := range r.problems {
		if p == text {
			return
		}
	}
	if len(r.problems) < 10 {
		r.problems = append(r.problems, text)
	}
}

// read walks the parts of the body. A panic is an error of this arrival.
func (r *reader) read(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.w.Stats.Panics.Add(1)
			r.w.c.Log.Error("reading an arrival panicked; it becomes a case that needs attention", "arrival", r.a.ID, "stack", stack())
			err = errors.New("reading failed inside")
		}
	}()
	h := r.a.Header
	if r.a.Kind == disclosure.ArrivalApplication {
		r.problem(applicationWords)
	}
	if len(h.Key) > 0 {
		r.key = h.Key
	}
	parts := h.Parts
	if len(parts) == 0 {
		parts = []disclosure.ArrivalPart{{Kind: r.onlyKind(), Size: h.Size}}
	}
	at := int64(0)
	for _, p := range parts {
		if err := r.part(ctx, p, at); err != nil {
			return err
		}
		at += p.Size
	}
	return nil
}

// onlyKind is what a body without parts is taken for.
func (r *reader) onlyKind() disclosure.PartKind {
	if r.a.Kind == disclosure.ArrivalMail || r.a.Channel == disclosure.ByMail || r.a.Channel == disclosure.ByFetch {
		return disclosure.PartMail
	}
	return disclosure.PartText
}

func (r *reader) part(ctx context.Context, p disclosure.ArrivalPart, at int64) error {
	if p.Kind == disclosure.PartFile {
		r.files = append(r.files, foundFile{label: p.Name, media: p.Type, at: at, size: p.Size})
		r.found = append(r.found, sealed)
		return nil
	}
	if p.Size > r.w.c.Limits.Message {
		r.files = append(r.files, foundFile{label: p.Name, media: p.Type, at: at, size: p.Size})
		r.problem("It is larger than we read; the original is kept.")
		return nil
	}
	if _, err := r.a.Body.Seek(at, io.SeekStart); err != nil {
		return ours{fmt.Errorf("go to a part of the body: %w", err)}
	}
	body, err := io.ReadAll(io.LimitReader(r.a.Body, p.Size))
	if errors.Is(err, vault.ErrOpen) {
		return errors.New("what is stored of it was altered or damaged")
	}
	if err != nil {
		return ours{fmt.Errorf("read the body: %w", err)}
	}
	if int64(len(body)) < p.Size {
		r.problem("The body is shorter than its header says.")
	}
	switch p.Kind {
	case disclosure.PartMail:
		return r.mail(ctx, body)
	case disclosure.PartJSON:
		return r.json(ctx, body)
	}
	return r.posted(ctx, body)
}

// posted reads a typed text, or a text that is or holds an OpenPGP message.
func (r *reader) posted(ctx context.Context, body []byte) error {
	m, err := r.twice(func(ring pgp.Ring) (*mail.Message, error) {
		return mail.ReadPosted(ctx, body, ring, r.w.c.DB.Now(), r.w.c.Limits)
	})
	if err != nil {
		return err
	}
	if m.Protected != nil {
		r.title = meaningfulSubject(m.Protected.Subject)
	}
	r.message(m)
	return nil
}

// json reads the API's JSON. One that does not parse was taken all the same,
// and is shown as it came.
func (r *reader) json(ctx context.Context, body []byte) error {
	report, err := disclosure.ParseReportJSON(body)
	if err != nil {
		r.problem("The JSON could not be read: " + err.Error())
		return r.posted(ctx, body)
	}
	if r.title == "" {
		r.title = cleanTitle(report.Title)
	}
	if report.Key != "" && len(r.key) == 0 {
		if certs, err := pgp.ParseCertificates([]byte(report.Key)); err == nil {
			r.key = certs[0].Binary()
		} else {
			r.problem("The key that came along cannot be used: " + err.Error() + ".")
		}
	}
	r.name, r.address = report.Name, report.Address
	if err := r.posted(ctx, []byte(report.Description)); err != nil {
		return err
	}
	r.section("Affected versions", report.Versions)
	r.section("How to reproduce", report.Reproduce)
	r.section("Impact", report.Impact)
	for _, ask := range sortedKeys(report.Answers) {
		r.section(askWords(ask), report.Answers[ask])
	}
	for _, f := range report.Files {
		r.files = append(r.files, foundFile{label: f.Name, media: f.Type, bytes: orEmpty(f.Data)})
		r.found = append(r.found, sealed)
	}
	return nil
}

// twice reads, and reads once more when keys came along that may have made
// the signatures.
func (r *reader) twice(read func(pgp.Ring) (*mail.Message, error)) (*mail.Message, error) {
	var held []pgp.Known
	hold := func(label string, certificate []byte) {
		if certs, err := pgp.ParseCertificates(certificate); err == nil {
			for _, c := range certs {
				held = append(held, pgp.Known{Certificate: c, Label: label})
			}
		}
	}
	if from := r.a.From; from != nil && len(from.Key) > 0 {
		hold(from.Label(), from.Key) // the one they gave before is known to be theirs
	}
	if len(r.key) > 0 {
		hold("", r.key)
	}
	ring := r.ring
	ring.Known = func(keyID uint64) []pgp.Known {
		var list []pgp.Known
		for _, k := range held {
			for _, id := range k.Certificate.KeyIDs() {
				if id == keyID {
					list = append(list, k)
					break
				}
			}
		}
		return list
	}
	m, err := read(ring)
	if err != nil || m.Protection.Signature != pgp.SignatureUnverifiable && !unverified(m) {
		return m, err
	}
	before := len(held)
	for _, p := range m.Pieces {
		if p.Kind == mail.KindKey {
			hold("", p.Bytes)
		}
	}
	if len(held) == before {
		return m, nil
	}
	return read(ring)
}

func unverified(m *mail.Message) bool {
	for _, p := range m.Pieces {
		if p.Protection.Problem == pgp.SignerNotFound {
			return true
		}
	}
	return false
}

// message takes over what a read message says.
func (r *reader) message(m *mail.Message) {
	p := protection(m.Protection)
	var main *mail.Piece
	for i := range m.Pieces {
		piece := &m.Pieces[i]
		switch piece.Kind {
		case mail.KindText, mail.KindHTML:
			if piece.Alternative || piece.Text == "" {
				continue
			}
			if main == nil {
				main = piece
				r.paragraph(piece.Text)
				continue
			}
			r.paragraph(pieceHead(main, piece) + piece.Text)
		case mail.KindAttachment, mail.KindReport:
			r.files = append(r.files, foundFile{label: piece.Label, media: piece.Type, bytes: orEmpty(piece.Bytes)})
		case mail.KindKey:
			r.files = append(r.files, foundFile{label: orLabel(piece.Label, "key.asc"), media: "application/pgp-keys", bytes: orEmpty(piece.Bytes)})
			if len(r.key) == 0 && r.a.From == nil { // another key for one we know is a member's to accept
				if certs, err := pgp.ParseCertificates(piece.Bytes); err == nil {
					r.key = certs[0].Binary()
				}
			}
		case mail.KindUnopened:
			r.files = append(r.files, foundFile{label: orLabel(piece.Label, "not-opened.asc"), media: "application/pgp-encrypted", bytes: orEmpty(piece.Bytes)})
			p.Encryption = disclosure.Unopened
		case mail.KindPrivateKey:
			r.problem("A private key came along. It is not shown; tell the sender that it has to be revoked.")
		}
	}
	for _, f := range m.Problems {
		if text := problemWords(f); text != "" {
			r.problem(text)
		}
		if f.Code == mail.ProblemNotOpened && p.Encryption == disclosure.Unopened && p.Problem == "" {
			p.Problem = f.Detail
		}
		if f.Code == mail.ProblemBroken && p.Encryption == disclosure.OnArrival { // what is left of it is shown, and can be supplied whole
			p.Encryption = disclosure.Unopened
		}
	}
	r.found = append(r.found, p)
}

// paragraph adds text, parted from what is there.
func (r *reader) paragraph(text string) {
	if r.text.Len() > maxText {
		return
	}
	if r.text.Len() > 0 {
		r.text.WriteString("\n\n")
	}
	r.text.WriteString(strings.TrimRight(text, " \t\n"))
}

func (r *reader) section(title, text string) {
	if strings.TrimSpace(text) != "" {
		r.paragraph(title + ":\n" + strings.TrimSpace(text))
	}
}

func orLabel(label, fallback string) string {
	if label == "" {
		return fallback
	}
	return label
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
