package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

// reader finds out what one arrival says. Texts it keeps in memory, of files
// where they lie, and hands both over at the end: what cannot be read must not
// keep the rest from being stored.
type reader struct {
	w    *Work
	a    *postgres.Arrival
	ring pgp.Ring

	title    string
	text     strings.Builder
	told     string // what stood there before the first answer to a question
	asked    bool   // there was such an answer
	files    []foundFile
	found    []disclosure.Protection // one for each part of the body
	problems []string
	key      []byte
	ciphers  [][]byte // digests of what was encrypted
	name     string
	address  string

	mailID  string
	checked []string
	bounce  *postgres.Bounce
	receipt *receipt
	applies bool // it asks to be told in advance
}

// foundFile is a file where it lies: in the body, or in what was opened of it.
type foundFile struct {
	label, media string
	open         func() io.Reader
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
	if r.applies {
		if err := r.a.Applies(); err != nil {
			return postgres.Opened{}, err
		}
	}
	for i, f := range r.files {
		label := f.label
		if strings.TrimSpace(label) == "" {
			label = fmt.Sprintf("file-%d", i+1)
		}
		if _, err := r.a.AddFile(ctx, label, f.media, f.open()); err != nil {
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
		wish := wishWords(h, answer)
		if answer.Ask == disclosure.AnswerInvite && r.a.From == nil {
			wish = "It came with an invitation that is unknown or used."
		}
		if r.a.Kind == disclosure.ArrivalMessage && wish != "" {
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
		told := text
		if r.asked {
			told = r.told
		}
		if title = firstLine(told); title == "" { // a greeting is better than nothing, and than a heading of ours
			title = firstWords(told)
		}
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
		MailID: r.mailID, Checked: r.checked, Ciphertexts: r.ciphers, Attention: strings.Join(r.problems, " "),
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
	if len(h.Key) > 0 {
		r.key = h.Key
	}
	parts := h.Parts
	if len(parts) == 0 {
		parts = []disclosure.ArrivalPart{{Kind: r.onlyKind(), Size: h.Size}}
	}
	for _, files := range []bool{false, true} { // the text first, wherever it stands
		at := int64(0)
		for _, p := range parts {
			if (p.Kind == disclosure.PartFile) == files {
				if err := r.part(ctx, p, at); err != nil {
					return err
				}
			}
			at += p.Size
		}
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
	end, err := r.a.Body.Seek(0, io.SeekEnd)
	if err != nil {
		return r.faulty(err)
	}
	size := max(min(p.Size, end-at), 0)
	if size < p.Size {
		r.problem("The body is shorter than its header says.")
	}
	in := mail.Input{R: io.NewSectionReader(r.a.Body, at, size), Size: size, Spool: func() (pgp.Spool, error) { return r.a.Spool(ctx), nil }}
	whole := foundFile{label: p.Name, media: p.Type, open: func() io.Reader { return io.NewSectionReader(r.a.Body, at, size) }}
	switch {
	case p.Kind == disclosure.PartFile:
		return r.upload(ctx, p, in, whole)
	case p.Size > r.w.c.Limits.Message:
		r.files = append(r.files, whole)
		r.problem("It is larger than we read; the original is kept.")
		return nil
	case p.Kind == disclosure.PartMail:
		return r.mail(ctx, in)
	case p.Kind == disclosure.PartJSON:
		return r.json(ctx, in)
	}
	return r.posted(ctx, in)
}

// faulty tells an arrival whose stored bytes do not open from a store that
// does not answer.
func (r *reader) faulty(err error) error {
	if errors.Is(err, vault.ErrOpen) {
		return errors.New("what is stored of it was altered or damaged")
	}
	return ours{fmt.Errorf("read the body: %w", err)}
}

// posted reads a typed text, or a text that is or holds an OpenPGP message.
func (r *reader) posted(ctx context.Context, in mail.Input) error {
	m, err := r.twice(func(ring pgp.Ring) (*mail.Message, error) {
		return r.w.c.Parse.Posted(ctx, in, ring, r.w.c.DB.Now(), r.w.c.Limits)
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

// upload keeps a file that came beside a text. One that is an OpenPGP message
// is opened, and what was in it is shown under its own protection.
func (r *reader) upload(ctx context.Context, p disclosure.ArrivalPart, in mail.Input, whole foundFile) error {
	var m *mail.Message
	var err error
	if p.Size <= r.w.c.Limits.PGP.Input {
		m, err = r.twice(func(ring pgp.Ring) (*mail.Message, error) {
			return r.w.c.Parse.File(ctx, p.Name, p.Type, in, ring, r.w.c.DB.Now(), r.w.c.Limits)
		})
	}
	switch {
	case err != nil:
		return err
	case m == nil || len(m.Pieces) == 1 && m.Pieces[0].Kind == mail.KindAttachment && m.Protection.Encryption == pgp.EncryptedNone:
		r.files = append(r.files, whole)
		r.found = append(r.found, sealed)
		return nil
	case m.Protection.Encryption != pgp.EncryptedNone:
		r.paragraph("[The file " + cleanTitle(p.Name) + " was opened. " + protection(m.Protection).Sentence() + "]")
	}
	r.message(m)
	return nil
}

// twice reads, and judges once more when keys came along that may have made
// the signatures: by reading again where that takes no opening.
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
	m, err := r.once(ring, read)
	if err != nil || m.Protection.Signature != pgp.SignatureUnverifiable && !unverified(m) {
		return m, err
	}
	before := len(held)
	for _, p := range m.Pieces {
		if p.Kind == mail.KindKey {
			hold("", keyBytes(p))
		}
	}
	if len(held) == before || m.Judge(ring.Known) {
		return m, nil
	}
	return r.once(ring, read)
}

func (r *reader) once(ring pgp.Ring, read func(pgp.Ring) (*mail.Message, error)) (*mail.Message, error) {
	m, err := read(ring)
	if err != nil {
		return nil, r.faulty(err)
	}
	return m, nil
}

// maxKeyFile bounds what is read of a key that came along.
const maxKeyFile = 1 << 20

func keyBytes(p mail.Piece) []byte {
	b, err := io.ReadAll(io.LimitReader(p.Content.Open(), maxKeyFile))
	if err != nil {
		return nil
	}
	return b
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
		file := foundFile{label: piece.Label, media: piece.Type, open: piece.Content.Open}
		switch piece.Kind {
		case mail.KindText, mail.KindHTML:
			if piece.Alternative || piece.Text == "" && !piece.Cut {
				continue
			}
			if piece.Cut { // a file has all of it
				file.label = orLabel(file.label, "text.txt")
				if piece.Kind == mail.KindHTML {
					file.label = orLabel(piece.Label, "text.html")
				}
				r.files = append(r.files, file)
			}
			if main == nil {
				main = piece
				r.paragraph(piece.Text)
				continue
			}
			r.paragraph(pieceHead(main, piece) + piece.Text)
		case mail.KindAttachment, mail.KindReport:
			r.files = append(r.files, file)
		case mail.KindKey:
			file.label, file.media = orLabel(piece.Label, "key.asc"), "application/pgp-keys"
			r.files = append(r.files, file)
			if len(r.key) == 0 && r.a.From == nil { // another key for one we know is a member's to accept
				if certs, err := pgp.ParseCertificates(keyBytes(*piece)); err == nil {
					r.key = certs[0].Binary()
				}
			}
		case mail.KindUnopened:
			file.label, file.media = orLabel(piece.Label, "not-opened.asc"), "application/pgp-encrypted"
			r.files = append(r.files, file)
			p.Encryption = disclosure.Unopened
		case mail.KindPrivateKey:
			r.problem("A private key came along. It is not shown; tell the sender that it has to be revoked.")
		}
	}
	r.ciphers = append(r.ciphers, m.Ciphertexts...)
	for i := range m.Pieces {
		if slices.Contains(m.Pieces[i].Protection.Notes, pgp.NoteTrailing) {
			r.problem("Something follows the encrypted message in it; nothing protects that, and it is not read.")
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
		if !r.asked {
			r.asked, r.told = true, r.text.String()
		}
		r.paragraph(title + ":\n" + strings.TrimSpace(text))
	}
}

func orLabel(label, fallback string) string {
	if label == "" {
		return fallback
	}
	return label
}
