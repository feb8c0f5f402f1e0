package mail

import (
	"bytes"
	"fmt"
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
	encoding string
	name     string // as claimed
	attached bool
	mime     bool // the ciphertext of PGP/MIME
	posted   bool // by form or API
	file     bool // an encrypted file
}

func (l leaf) decode(r *reader, body []byte, at place) []byte {
	decoded, damaged := decodeTransfer(body, l.encoding)
	if damaged {
		r.m.repaired(at.path, RepairTransfer, truncate(decodeWords(l.encoding), 40))
	}
	return decoded
}

// leaf reads one decoded part that holds no further MIME parts.
func (r *reader) leaf(b []byte, l leaf, at place) {
	switch l.typ {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		r.m.problem(at.path, ProblemSMIME, "")
	case "application/ms-tnef", "application/vnd.ms-tnef":
		r.m.problem(at.path, ProblemTNEF, "")
	case "message/external-body":
		r.m.problem(at.path, ProblemExternal, "")
	case "application/pgp-signature":
		r.add(Piece{Kind: KindSignature, Type: l.typ, Label: l.name, Bytes: b}, at)
		return
	case "message/delivery-status", "message/disposition-notification", "text/rfc822-headers", "message/feedback-report", "message/global-delivery-status":
		text, _ := decodeCharset(b, "")
		r.add(Piece{Kind: KindReport, Type: l.typ, Label: l.name, Text: plainText(text), Bytes: b}, at)
		return
	case "text/plain", "text":
		if !l.attached && !cipherName(l.name) {
			r.text(b, l, at)
			return
		}
	case "text/html", "application/xhtml+xml":
		if !l.attached {
			r.html(b, l, at)
			return
		}
	}
	r.file(b, l, at)
}

// file reads an attachment: opened if it is an OpenPGP message, named if it is a key.
func (r *reader) file(b []byte, l leaf, at place) {
	plain := Piece{Kind: KindAttachment, Type: l.typ, Label: l.name, Bytes: b}
	armored := bytes.Contains(b[:min(len(b), 64<<10)], []byte("-----BEGIN PGP"))
	if !armored && !cipherName(l.name) && l.typ != "application/pgp-encrypted" && l.typ != "application/pgp-keys" {
		r.add(plain, at)
		return
	}
	switch in := pgp.Inspect(b); in.Shape {
	case pgp.ShapePrivateKey:
		r.privateKey(l, at)
	case pgp.ShapeMessage:
		l.file = true
		r.noteArmor(in, at)
		r.open(in.Block, l, at)
	case pgp.ShapeMixed:
		r.text(b, l, at)
	case pgp.ShapePublicKey:
		r.add(Piece{Kind: KindKey, Type: "application/pgp-keys", Label: l.name, Bytes: in.Block}, at)
	case pgp.ShapeSignature:
		r.add(Piece{Kind: KindSignature, Type: "application/pgp-signature", Label: l.name, Bytes: in.Block}, at)
	case pgp.ShapeClearSigned:
		r.text(b, l, at)
	case pgp.ShapeBroken:
		if cipherName(l.name) || l.typ == "application/pgp-encrypted" {
			r.m.problem(at.path, ProblemBroken, in.Why)
		}
		r.add(plain, at)
	default:
		switch {
		case binaryMessage(b):
			l.file = true
			r.open(b, l, at)
		case binaryPrivateKey(b):
			r.privateKey(l, at)
		case l.typ == "application/pgp-keys" || binaryPublicKey(b):
			plain.Kind = KindKey
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

func withoutCipherName(name string) string {
	if name = strings.TrimSpace(name); cipherName(name) {
		return name[:len(name)-len(path.Ext(name))]
	}
	return name
}

// asOpened says what an opened file is: a text where it stood in for one, else a file.
func (l leaf) asOpened(plain []byte) leaf {
	out := leaf{typ: "application/octet-stream", name: l.name, attached: true}
	switch strings.ToLower(path.Ext(l.name)) {
	case "", ".txt", ".md", ".eml":
		if utf8.Valid(plain) && !bytes.ContainsRune(plain, 0) {
			out.typ, out.attached = "text/plain", false
		}
	}
	return out
}

// text reads a text, and the first armored block in it; what stands before and after is read the
// same way, each by itself.
func (r *reader) text(b []byte, l leaf, at place) {
	text, ok := decodeCharset(b, l.params["charset"])
	if !ok {
		r.m.repaired(at.path, RepairCharset, truncate(decodeWords(l.params["charset"]), 40))
	}
	if at.covered && l.params["hp-legacy-display"] == "1" {
		text = withoutLegacyDisplay(text)
	}
	r.blocks(text, Piece{Kind: KindText, Type: l.typ, Label: l.name, Bytes: b}, l, at)
}

func (r *reader) html(b []byte, l leaf, at place) {
	source, ok := decodeCharset(b, l.params["charset"])
	if !ok {
		r.m.repaired(at.path, RepairCharset, truncate(decodeWords(l.params["charset"]), 40))
	}
	p := Piece{Kind: KindHTML, Type: l.typ, Label: l.name, Bytes: b}
	text := htmlText(truncate(source, 4*r.limits.Text))
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
	r.blocks(text, p, l, at)
}

// blocks splits text around its first armored block. whole is the piece it is when there is none.
func (r *reader) blocks(text string, whole Piece, l leaf, at place) {
	if r.stop() {
		return
	}
	whole.Text = text
	in, ok := r.inspect(text)
	if !ok {
		r.m.problem(at.path, ProblemOpens, "")
	}
	switch in.Shape {
	case pgp.ShapeText, pgp.ShapeSignature:
		r.add(whole, at)
		return
	case pgp.ShapeBroken:
		r.m.problem(at.path, ProblemBroken, in.Why)
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
	r.around(in.Before, l, at)
	switch in.Shape {
	case pgp.ShapePublicKey:
		r.opens++
		r.parts++
		r.add(Piece{Kind: KindKey, Type: "application/pgp-keys", Bytes: in.Block}, at)
	case pgp.ShapeClearSigned:
		r.clearSigned(in.Block, l, at)
	default:
		r.parts++
		inner := l
		inner.posted = l.posted && in.Before == nil && in.After == nil
		r.open(in.Block, inner, at)
	}
	r.around(in.After, l, at)
}

// inspect is pgp.Inspect within the limits. Where they end, ok is false and the text is only
// searched for the head of a private key.
func (r *reader) inspect(text string) (in pgp.Inspection, ok bool) {
	r.looked += int64(len(text))
	crowded := len(text) > 1<<20 && strings.Count(text, "PGP")+strings.Count(text, "pgp")+strings.Count(text, "Pgp") > r.limits.Marks
	switch {
	case r.looked <= r.limits.Inspect && !crowded:
		return pgp.Inspect([]byte(text)), true
	case strings.Contains(text, "PRIVATE KEY BLOCK"):
		return pgp.Inspection{Shape: pgp.ShapePrivateKey}, false
	}
	return pgp.Inspection{Shape: pgp.ShapeText}, false
}

// around reads the text beside a block, which the block does not protect.
func (r *reader) around(b []byte, l leaf, at place) {
	if len(b) == 0 {
		return
	}
	r.parts++
	at.root = false
	r.blocks(string(b), Piece{Kind: KindText, Type: "text/plain", Label: l.name, Bytes: b}, l, at)
}

func (r *reader) clearSigned(block []byte, l leaf, at place) {
	r.opens++
	signed, judgment, err := pgp.OpenClearSigned(block, r.ring.Known, r.now)
	if err != nil {
		r.m.problem(at.path, ProblemBroken, "The signed text is damaged.")
		r.add(Piece{Kind: KindText, Type: "text/plain", Label: l.name, Text: string(block), Bytes: block}, at)
		return
	}
	at.prot = merge(at.prot, judgment)
	text, _ := decodeCharset(signed, "utf-8")
	r.add(Piece{Kind: KindText, Type: "text/plain", Label: l.name, Text: text, Bytes: signed}, at)
}

func (r *reader) noteArmor(in pgp.Inspection, at place) {
	for _, repair := range in.Repairs {
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
	if len(p.Text) > r.limits.Text {
		p.Text = truncate(p.Text, r.limits.Text)
		r.m.problem(at.path, ProblemTextCut, "")
	}
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
