package mail

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/pgp"
)

// leaf is what a part's header says about its body.
type leaf struct {
	typ      string
	params   map[string]string
	name     string // as claimed
	attached bool
	mime     bool // the ciphertext of PGP/MIME
	posted   bool // by form or API
	file     bool // an encrypted file
	lines    bool // of a text that was sent as lines, not as data
}

// leaf reads one part that holds no further MIME parts.
func (r *reader) leaf(c Content, l leaf, at place) {
	switch l.typ {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		r.m.problem(at.path, ProblemSMIME, "")
	case "application/ms-tnef", "application/vnd.ms-tnef":
		r.m.problem(at.path, ProblemTNEF, "")
	case "message/external-body":
		r.m.problem(at.path, ProblemExternal, "")
	case "application/pgp-signature":
		r.add(Piece{Kind: KindSignature, Type: l.typ, Label: l.name, Content: c}, at)
		return
	case "message/delivery-status", "message/disposition-notification", "text/rfc822-headers", "message/feedback-report", "message/global-delivery-status":
		text, _ := decodeCharset(c.head(r.limits.Text+1), "")
		r.add(Piece{Kind: KindReport, Type: l.typ, Label: l.name, Text: plainText(text), Content: c}, at)
		return
	case "text/plain", "text":
		if !l.attached && !cipherName(l.name) {
			r.text(c, l, at)
			return
		}
	case "text/html", "application/xhtml+xml":
		if !l.attached {
			r.html(c, l, at)
			return
		}
	}
	r.file(c, l, at)
}

// found is what look found in a text; contents are zero where there are none.
type found struct {
	shape               pgp.Shape
	why                 string
	repairs             []pgp.Repair
	body, before, after Content
}

// look looks through c, which has no transfer encoding, for armor. ok is false where the limits
// ended: then it was only searched for the head of a private key.
func (r *reader) look(c Content) (f found, ok bool) {
	f.shape = pgp.ShapeText
	r.looked += c.size
	marks, private := 0, false
	if c.size > min(1<<20, r.limits.Held) || r.looked > r.limits.Inspect {
		if marks, private = c.marks(); marks == 0 {
			return f, true
		}
	}
	if r.looked > r.limits.Inspect || c.size > 1<<20 && marks > r.limits.Marks {
		if private {
			f.shape = pgp.ShapePrivateKey
		}
		return f, false
	}
	if c.size <= r.limits.Held {
		b, _ := c.Bytes()
		in := pgp.Inspect(b)
		f = found{shape: in.Shape, why: in.Why, repairs: in.Repairs}
		for _, x := range []struct {
			to *Content
			b  []byte
		}{{&f.body, in.Block}, {&f.before, in.Before}, {&f.after, in.After}} {
			if x.b != nil {
				*x.to = inMemory(x.b)
			}
		}
		return f, true
	}
	in, err := pgp.Scan(c.section(), c.size, func() (pgp.Spool, error) { return &spool{r: r}, nil })
	if err != nil { // the reader knows if it was the input's
		return found{shape: pgp.ShapeText}, false
	}
	f = found{shape: in.Shape, why: in.Why, repairs: in.Repairs}
	if in.End > 0 {
		f.body = c.slice(in.Start, in.End)
		if in.Body != nil {
			f.body = Content{in: in.Body, size: in.Size}
		}
		for _, x := range []struct {
			to       *Content
			from, at int64
		}{{&f.before, 0, in.Start}, {&f.after, in.End, c.size}} {
			if part := c.slice(x.from, x.at); !part.empty(blanks + ">|\x00") {
				*x.to = part
			}
		}
	}
	return f, true
}

// marks counts what armor cannot do without, and looks for the head of a private key.
func (c Content) marks() (n int, private bool) {
	const overlap = len("PRIVATE KEY BLOCK") - 1
	buf, kept := make([]byte, 256<<10), 0
	r := c.Open()
	for {
		m, err := io.ReadFull(r, buf[kept:])
		b := buf[:kept+m]
		for _, word := range []string{"PGP", "pgp", "Pgp"} {
			n += bytes.Count(b, []byte(word))
		}
		private = private || bytes.Contains(b, []byte("PRIVATE KEY BLOCK"))
		if err != nil {
			return n, private
		}
		kept = copy(buf, b[len(b)-overlap:])
	}
}

// file reads an attachment: opened if it is an OpenPGP message, named if it is a key.
func (r *reader) file(c Content, l leaf, at place) {
	plain := Piece{Kind: KindAttachment, Type: l.typ, Label: l.name, Content: c.asFile(l)}
	armored := bytes.Contains(c.head(64<<10), []byte("-----BEGIN PGP"))
	if !armored && !cipherName(l.name) && l.typ != "application/pgp-encrypted" && l.typ != "application/pgp-keys" {
		r.add(plain, at)
		return
	}
	c, ok := r.seekable(c, at)
	if !ok {
		r.add(plain, at)
		return
	}
	switch in, _ := r.look(c); in.shape {
	case pgp.ShapePrivateKey:
		r.privateKey(l, at)
	case pgp.ShapeMessage:
		l.file = true
		r.noteArmor(in, at)
		r.open(in.body, l, at)
	case pgp.ShapeMixed:
		r.text(c, l, at)
	case pgp.ShapePublicKey:
		r.add(Piece{Kind: KindKey, Type: "application/pgp-keys", Label: l.name, Content: in.body}, at)
	case pgp.ShapeSignature:
		r.add(Piece{Kind: KindSignature, Type: "application/pgp-signature", Label: l.name, Content: in.body}, at)
	case pgp.ShapeClearSigned:
		r.text(c, l, at)
	case pgp.ShapeBroken:
		if cipherName(l.name) || l.typ == "application/pgp-encrypted" {
			r.m.problem(at.path, ProblemBroken, in.why)
		}
		r.add(plain, at)
	default:
		switch b := c.head(32); {
		case binaryMessage(b):
			l.file = true
			r.open(c, l, at)
		case binaryPrivateKey(b):
			r.privateKey(l, at)
		case l.typ == "application/pgp-keys" || binaryPublicKey(b):
			plain.Kind, plain.Content = KindKey, c
			r.add(plain, at)
		default:
			r.add(plain, at)
		}
	}
}

func binaryPrivateKey(b []byte) bool {
	return len(b) > 20 && (b[0] == 0xc5 || b[0]&^3 == 0x94) // tag 5, new and old format
}

func binaryPublicKey(b []byte) bool {
	return len(b) > 20 && (b[0] == 0xc6 || b[0]&^3 == 0x98) // tag 6
}

func (r *reader) privateKey(l leaf, at place) {
	r.m.problem(at.path, ProblemPrivateKey, "")
	r.add(Piece{Kind: KindPrivateKey, Type: "application/pgp-keys", Label: l.name}, at)
}

func cipherName(name string) bool {
	switch strings.ToLower(path.Ext(strings.TrimSpace(name))) {
	case ".asc", ".gpg", ".pgp":
		return true
	}
	return false
}

// MayBeOpenPGP reports whether a file claims to be something of OpenPGP.
func MayBeOpenPGP(name, mediaType string) bool {
	return cipherName(name) || strings.HasPrefix(strings.ToLower(mediaType), "application/pgp-")
}

func withoutCipherName(name string) string {
	if name = strings.TrimSpace(name); cipherName(name) {
		return name[:len(name)-len(path.Ext(name))]
	}
	return name
}

// asOpened says what an opened file is: a text where it stood in for one and is no longer than we
// hold, else a file.
func (r *reader) asOpened(plain Content, l leaf) leaf {
	out := leaf{typ: "application/octet-stream", name: l.name, attached: true}
	switch strings.ToLower(path.Ext(l.name)) {
	case "", ".txt", ".md", ".eml":
		if plain.size > r.limits.Held {
			break
		}
		if b, _ := plain.Bytes(); utf8.Valid(b) && !bytes.ContainsRune(b, 0) {
			out.typ, out.attached = "text/plain", false
		}
	}
	return out
}

// text reads a text, and the first armored block in it; what stands before and after is read the
// same way, each by itself.
func (r *reader) text(c Content, l leaf, at place) {
	whole := Piece{Kind: KindText, Type: l.typ, Label: l.name, Content: c.asFile(l)}
	charset := l.params["charset"]
	legacy := at.covered && l.params["hp-legacy-display"] == "1"
	held := c.size <= r.limits.Held
	var b []byte
	if held {
		b = r.held(c, at)
	} else {
		b = c.head(r.limits.Text + 1)
		whole.Cut = len(b) > r.limits.Text
	}
	text, ok := decodeCharset(b, charset)
	if !ok && !whole.Cut {
		r.m.repaired(at.path, RepairCharset, truncate(decodeWords(charset), 40))
	}
	if legacy {
		text = withoutLegacyDisplay(text)
	}
	if held {
		r.blocks(inMemory([]byte(text)), text, whole, l, at)
		return
	}
	// Armor is ASCII, and so is what of it any charset but the wide ones has.
	plain, ok := r.seekable(c, at)
	if !ok {
		whole.Text = text
		r.add(whole, at)
		return
	}
	r.blocks(plain, text, whole, l, at)
}

func (r *reader) html(c Content, l leaf, at place) {
	source, ok := decodeCharset(c.head(r.limits.HTML+1), l.params["charset"])
	if !ok {
		r.m.repaired(at.path, RepairCharset, truncate(decodeWords(l.params["charset"]), 40))
	}
	p := Piece{Kind: KindHTML, Type: l.typ, Label: l.name, Content: c, Cut: len(source) > r.limits.HTML}
	text := htmlText(truncate(source, r.limits.HTML))
	if at.alternative {
		if pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey {
			r.privateKey(l, at)
			return
		}
		p.Text = text
		r.add(p, at)
		return
	}
	if strings.Contains(text, "-----BEGIN PGP") {
		r.m.repaired(at.path, RepairFromHTML, "")
	}
	r.blocks(inMemory([]byte(text)), text, p, l, at)
}

// blocks splits a text around its first armored block. whole is the piece it is when there is
// none, text as much of it as is shown.
func (r *reader) blocks(c Content, text string, whole Piece, l leaf, at place) {
	if r.halted() {
		return
	}
	whole.Text = text
	in, ok := r.look(c)
	if !ok {
		r.m.problem(at.path, ProblemOpens, "")
	}
	switch in.shape {
	case pgp.ShapeText, pgp.ShapeSignature:
		r.add(whole, at)
		return
	case pgp.ShapeBroken:
		r.m.problem(at.path, ProblemBroken, in.why)
		r.add(whole, at)
		return
	case pgp.ShapePrivateKey:
		r.privateKey(l, at)
		return
	}
	if r.opens >= r.limits.Opens {
		r.m.problem(at.path, ProblemOpens, "")
		r.add(whole, at)
		return
	}
	r.noteArmor(in, at)
	r.around(in.before, l, at)
	switch in.shape {
	case pgp.ShapePublicKey:
		r.opens++
		r.parts++
		r.add(Piece{Kind: KindKey, Type: "application/pgp-keys", Content: in.body}, at)
	case pgp.ShapeClearSigned:
		r.clearSigned(in.body, l, at)
	default:
		r.parts++
		inner := l
		inner.posted = l.posted && in.before.IsZero() && in.after.IsZero()
		r.open(in.body, inner, at)
	}
	r.around(in.after, l, at)
}

// around reads the text beside a block, which the block does not protect.
func (r *reader) around(c Content, l leaf, at place) {
	if c.IsZero() {
		return
	}
	r.parts++
	at.root = false
	text := strings.ToValidUTF8(string(c.head(r.limits.Text+1)), "\uFFFD")
	r.blocks(c, text, Piece{Kind: KindText, Type: "text/plain", Label: l.name, Content: c, Cut: c.size > int64(r.limits.Text)+1}, l, at)
}

func (r *reader) clearSigned(block Content, l leaf, at place) {
	r.opens++
	piece := Piece{Kind: KindText, Type: "text/plain", Label: l.name, Content: block}
	if block.size > r.limits.Held { // not held, so not checked
		unchecked := bare()
		unchecked.Signature, unchecked.Problem = pgp.SignatureUnverifiable, pgp.SignatureBroken
		at.prot.TakeSignature(unchecked)
		piece.Text, piece.Cut = strings.ToValidUTF8(string(block.head(r.limits.Text)), "\uFFFD"), true
		r.m.problem(at.path, ProblemSignatureForm, "")
		r.add(piece, at)
		return
	}
	b, _ := block.Bytes()
	signed, judgment, err := pgp.OpenClearSigned(b, r.ring.Known, r.now)
	if err != nil {
		r.m.problem(at.path, ProblemBroken, "The signed text is damaged.")
		piece.Text = string(b)
		r.add(piece, at)
		return
	}
	at.prot = r.merge(at.prot, judgment)
	piece.Text, _ = decodeCharset(signed, "utf-8")
	piece.Content = inMemory(signed)
	r.add(piece, at)
}

func (r *reader) noteArmor(in found, at place) {
	for _, repair := range in.repairs {
		r.m.repaired(at.path, RepairArmor, string(repair))
	}
}

// withoutLegacyDisplay drops the copy of the header that RFC 9788 §5.2.2 puts before a text for
// programs that do not know header protection.
func withoutLegacyDisplay(text string) string {
	head, rest, ok := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	if !ok {
		return text
	}
	if h := parseHeader([]byte(head + "\n")); h.bad > 0 || len(h.fields) == 0 {
		return text
	}
	return rest
}

// add keeps one piece.
func (r *reader) add(p Piece, at place) {
	p.Path, p.Protection, p.Enclosed = at.path, at.prot, at.enclosed
	if p.Kind == KindText || p.Kind == KindHTML {
		p.Alternative = at.alternative
		p.Text = plainText(p.Text)
		if strings.TrimSpace(p.Text) == "" && p.Label == "" {
			return
		}
	}
	if most := min(r.limits.Text, r.limits.Texts-r.texts); len(p.Text) > most {
		p.Text, p.Cut = strings.Clone(truncate(p.Text, most)), true
	}
	if p.Cut {
		r.m.problem(at.path, ProblemTextCut, "")
	}
	r.texts += len(p.Text)
	if len(p.Type) > 130 || !mediaType.MatchString(p.Type) {
		p.Type = "application/octet-stream"
	}
	p.Label = r.label(p)
	r.m.Pieces = append(r.m.Pieces, p)
}

// label makes the claimed name safe, and unlike every other of the message. Files always have
// one, texts only where they came with one.
func (r *reader) label(p Piece) string {
	name := SafeName(p.Label)
	if name == "" {
		switch p.Kind {
		case KindAttachment:
			name = "file"
		case KindUnopened:
			name = "message.pgp"
		case KindKey:
			name = "key.asc"
		default:
			return ""
		}
	}
	key := strings.ToLower(name)
	r.labels[key]++
	if n := r.labels[key]; n > 1 {
		ext := path.Ext(name)
		name = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), n, ext)
		r.labels[strings.ToLower(name)]++
	}
	return name
}

const maxName = 120 // runes

// SafeName turns a file name somebody sent into one that is safe to show and to save under: no
// folder, no control, format or direction characters, no name a system keeps for itself, at most
// 120 characters with the ending kept. It may be empty.
func SafeName(name string) string {
	name = strings.ToValidUTF8(truncate(name, 8<<10), "_")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`<>:"|?*`, r), r == utf8.RuneError:
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	stem, _, _ := strings.Cut(name, ".")
	switch s := strings.ToUpper(strings.TrimSpace(stem)); {
	case s == "CON", s == "PRN", s == "AUX", s == "NUL",
		len(s) == 4 && (s[:3] == "COM" || s[:3] == "LPT") && s[3] >= '0' && s[3] <= '9':
		name = "_" + name
	}
	if runes := []rune(name); len(runes) > maxName {
		ext := []rune(path.Ext(name))
		if len(ext) > 12 {
			ext = nil
		}
		name = string(runes[:maxName-len(ext)]) + string(ext)
	}
	return name
}
