package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"postern/internal/pgp"
)

// Read makes a Message of raw, one message as it came by mail. It always returns one, holding
// whatever could be read; the error is only ever ctx's. Secrets and certificates come from ring
// alone, now is when signatures and keys are judged. Pieces share memory with raw.
//
// Nothing remote is looked at. What was encrypted, signed or neither is told piece by piece, and
// pieces are never joined, so that a frame put around somebody's ciphertext gains nothing
// (EFAIL).
func Read(ctx context.Context, raw []byte, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	return ReadInput(ctx, inputOf(raw), ring, now, limits)
}

// ReadInput is Read for a message that is not in memory: it is read where it lies, its parts one
// by one, and of each no more than Limits.Held at a time. The error is ctx's, or what the input or
// its spools failed with.
func ReadInput(ctx context.Context, in Input, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	runtime.LockOSThread() // whose time is bounded
	defer runtime.UnlockOSThread()
	r := begin(ctx, in, ring, now, limits)
	r.guard(func() {
		head, _, _ := r.scan(r.root).splitEntity(r.root, limits.Header)
		h := parseHeaderLimited(head, limits)
		r.outer(h)
		if r.root.size > limits.Message {
			r.m.problem("", ProblemTooLarge, "")
			return
		}
		if len(h.fields) == 0 {
			r.m.problem("", ProblemMalformed, "There is no header.")
			r.text(r.root, leaf{typ: "text/plain"}, place{root: true, prot: bare()})
			return
		}
		r.entity(r.root, place{root: true, prot: bare()})
	})
	return r.end()
}

// ReadPosted makes a Message of what came by form or API: a text, or a text with an armored
// message in it, whose plaintext may be a MIME entity with files. There is no outer header.
func ReadPosted(ctx context.Context, body []byte, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	return ReadPostedInput(ctx, inputOf(body), ring, now, limits)
}

// ReadPostedInput is to ReadPosted what ReadInput is to Read.
func ReadPostedInput(ctx context.Context, in Input, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	return readLeaf(ctx, in, leaf{typ: "text/plain", posted: true}, ring, now, limits)
}

// ReadFile makes a Message of a file that was uploaded beside a text: one piece, or what was in
// it where it is an OpenPGP message.
func ReadFile(ctx context.Context, name, mediaType string, in Input, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	return readLeaf(ctx, in, leaf{typ: mediaType, name: name, attached: true}, ring, now, limits)
}

func readLeaf(ctx context.Context, in Input, l leaf, ring pgp.Ring, now time.Time, limits Limits) (*Message, error) {
	runtime.LockOSThread() // whose time is bounded
	defer runtime.UnlockOSThread()
	r := begin(ctx, in, ring, now, limits)
	r.guard(func() {
		if in.Size > limits.PGP.Input {
			r.m.problem("", ProblemTooLarge, "")
			return
		}
		at := place{root: true, prot: bare()}
		if l.attached {
			r.file(r.root, l, at)
			return
		}
		r.text(r.root, l, at)
	})
	return r.end()
}

// guard runs walk: no input is known to make it panic.
func (r *reader) guard(walk func()) {
	defer func() {
		if recover() != nil {
			r.m.problem("", ProblemInternal, "")
		}
	}()
	walk()
}

// bare is the judgment of what nothing protects.
func bare() pgp.Judgment {
	return pgp.Judgment{Encryption: pgp.EncryptedNone, Signature: pgp.SignatureNone, Integrity: pgp.IntegrityWhole}
}

// reader walks one message.
type reader struct {
	ctx    context.Context
	ring   pgp.Ring
	now    time.Time
	limits Limits
	m      *Message
	root   Content
	spools func() (pgp.Spool, error)
	lines  *lines

	fault   error         // the input's own, or a spool's
	began   time.Duration // what the thread had spent before
	waited  time.Duration // spent in input and spools
	spooled int64
	texts   int

	parts   int
	opens   int
	opened  int64
	looked  int64          // octets looked through for armor
	labels  map[string]int // names given so far
	stopped bool
}

// place is where in the tree we are, and what covers us there.
type place struct {
	path   string
	depth  int
	layers int
	prot   pgp.Judgment

	root        bool // only encryption and signature stand between the message's root and us
	covered     bool // and at least one of them holds: fields here are protected (RFC 9788 §4)
	alternative bool
	enclosed    bool
}

func (at place) child(n int) place {
	at.root = false
	return at.in(fmt.Sprint(n))
}

// in goes one level down without leaving the root of the protection.
func (at place) in(name string) place {
	if at.path != "" {
		name = at.path + "." + name
	}
	at.path = name
	at.depth++
	return at
}

// stop reports whether nothing further may be read, and says why once.
func (r *reader) stop() bool {
	if !r.halted() && r.parts >= r.limits.Parts {
		r.stopped = true
		r.m.problem("", ProblemParts, "")
	}
	return r.stopped
}

// halted is stop for a part that is counted already.
func (r *reader) halted() bool {
	if r.stopped {
		return true
	}
	if r.fault != nil || r.ctx.Err() != nil {
		r.stopped = true
	} else if r.left() <= 0 {
		r.stopped = true
		r.m.problem("", ProblemTime, "")
	}
	return r.stopped
}

// left is how much time there is.
func (r *reader) left() time.Duration { return r.limits.Time - (pgp.Spent() - r.began - r.waited) }

// outer takes the message's own header.
func (r *reader) outer(h header) {
	r.m.raw = h.fields
	r.m.Outer = h.interpret()
	r.m.Header = r.m.Outer
	if h.cut {
		r.m.problem("", ProblemHeaderLimit, "")
	}
	for _, key := range []string{"from", "to", "subject", "date", "message-id", "content-type", "reply-to"} {
		if h.count(key) > 1 {
			r.m.problem("", ProblemTwice, key)
		}
	}
	if r.m.Outer.FromAddress == "" {
		r.m.problem("", ProblemFrom, "")
	}
}

// protect takes the fields of the root of what is encrypted or signed (RFC 9788 §4.2); anywhere
// else they are a forger's.
func (r *reader) protect(h header, params map[string]string, at place) {
	if params["hp"] == "" && params["protected-headers"] == "" {
		return
	}
	if !at.root || !at.covered {
		if !at.root || at.prot.Signature == pgp.SignatureNone { // signed, but not by anybody we know of: usual
			r.m.problem(at.path, ProblemMisplaced, "")
		}
		return
	}
	inner := h.interpret()
	r.m.Protected = &inner
	m := &r.m.Header
	for key, set := range map[string]func(){
		"subject":     func() { m.Subject = inner.Subject },
		"date":        func() { m.Date = inner.Date },
		"to":          func() { m.To = inner.To },
		"cc":          func() { m.Cc = inner.Cc },
		"reply-to":    func() { m.ReplyTo, m.ReplyToAddress = inner.ReplyTo, inner.ReplyToAddress },
		"message-id":  func() { m.MessageID = inner.MessageID },
		"in-reply-to": func() { m.InReplyTo = inner.InReplyTo },
		"references":  func() { m.References = inner.References },
	} {
		if h.count(key) > 0 {
			set()
		}
	}
	if h.count("from") > 0 && !strings.EqualFold(inner.FromAddress, r.m.Outer.FromAddress) {
		r.m.problem(at.path, ProblemFromDiffers, "")
	}
}

// entity reads one MIME entity.
func (r *reader) entity(raw Content, at place) {
	if r.stop() {
		return
	}
	r.parts++
	h, body := r.headed(raw)
	if h.bad > 0 {
		r.m.repaired(at.path, RepairHeader, "")
	}
	if h.cut && at.path != "" {
		r.m.problem(at.path, ProblemHeaderLimit, "")
	}
	typ, params := contentType(h.first("content-type"), "text/plain")
	r.protect(h, params, at)
	l := leaf{typ: typ, params: params}
	switch strings.ToLower(strings.TrimSpace(h.first("content-transfer-encoding"))) {
	case "", "7bit", "8bit", "quoted-printable":
		l.lines = strings.HasPrefix(typ, "text/")
	}
	disposition, dparams := contentType(h.first("content-disposition"), "")
	l.attached = disposition == "attachment"
	l.name = decodeWords(dparams["filename"])
	if l.name == "" {
		l.name = decodeWords(params["name"])
	}
	nests := strings.HasPrefix(typ, "multipart/") || strings.HasPrefix(typ, "message/")
	switch {
	case at.depth >= r.limits.Depth && nests:
		r.m.problem(at.path, ProblemDepth, "")
		r.add(Piece{Kind: KindAttachment, Type: typ, Label: l.name, Content: body}, at)
	case strings.HasPrefix(typ, "multipart/"):
		r.multipart(body, l, at)
	case typ == "message/rfc822" || typ == "message/global":
		if plain, ok := r.seekable(body, at); ok {
			r.enclosed(plain, at)
		}
	default:
		r.leaf(body, l, at)
	}
}

// headed reads the header of an entity, and says how its body is to be decoded.
func (r *reader) headed(raw Content) (header, Content) {
	head, body, _ := r.scan(raw).splitEntity(raw, r.limits.Header)
	h := parseHeaderLimited(head, r.limits)
	body.encoding = transferEncoding(h.first("content-transfer-encoding"))
	return h, body
}

func (r *reader) multipart(body Content, l leaf, at place) {
	if body.encoding != "base64" && body.encoding != "quoted-printable" {
		body.encoding = ""
	}
	body, ok := r.seekable(body, at) // encoding it is forbidden by RFC 2045 §6.4, and seen
	if !ok {
		return
	}
	boundary := l.params["boundary"]
	var parts []Content
	var closed, more bool
	if boundary != "" && len(boundary) <= 200 {
		parts, closed, more = r.scan(body).splitMultipart(body, boundary, max(r.limits.Parts-r.parts, 0))
	}
	switch {
	case more:
		r.m.problem(at.path, ProblemParts, "")
	case len(parts) == 0:
		// Keep what is there to see, armor included.
		r.m.problem(at.path, ProblemBoundary, "")
		at.root = false
		r.text(body, leaf{typ: "text/plain"}, at)
		return
	case !closed:
		r.m.repaired(at.path, RepairUnclosed, "")
	}
	switch l.typ {
	case "multipart/encrypted":
		r.encrypted(parts, at)
	case "multipart/signed":
		r.signed(parts, l.params, at)
	case "multipart/alternative":
		r.alternative(parts, at)
	default:
		if r.mixedUp(parts) {
			r.m.repaired(at.path, RepairMixedUp, "")
			r.encrypted(parts[1:], at)
			return
		}
		r.children(parts, at)
	}
}

func (r *reader) children(parts []Content, at place) {
	for i, p := range parts {
		r.entity(p, at.child(i+1))
	}
}

// peek tells the type of a raw part, and its body.
func (r *reader) peek(raw Content) (typ string, body Content) {
	h, body := r.headed(raw)
	typ, _ = contentType(h.first("content-type"), "text/plain")
	return typ, body
}

// blanks are what a text may hold and still be empty.
const blanks = " \t\r\n\v\f"

// mixedUp recognizes what Exchange makes of PGP/MIME: multipart/mixed of an empty text, the
// version part and the ciphertext (draft-dkg-openpgp-pgpmime-message-mangling §4.1).
func (r *reader) mixedUp(parts []Content) bool {
	if len(parts) != 3 {
		return false
	}
	first, text := r.peek(parts[0])
	second, _ := r.peek(parts[1])
	third, _ := r.peek(parts[2])
	return first == "text/plain" && second == "application/pgp-encrypted" && third == "application/octet-stream" && text.empty(blanks)
}

// encrypted opens the ciphertext among parts, wherever a relay or a program put it; parts beside
// it are read as what they are, unprotected.
func (r *reader) encrypted(parts []Content, at place) {
	found, block := -1, Content{}
	types := make([]string, len(parts))
	version := make([]bool, len(parts)) // the part that says "Version: 1"
	for i, p := range parts {
		var body Content
		types[i], body = r.peek(p)
		version[i] = types[i] == "application/pgp-encrypted" && len(body.head(200)) < 200
		if found >= 0 || r.stop() {
			continue
		}
		if c, ok := r.ciphertext(body, at); ok {
			found, block = i, c
		}
	}
	standard := len(parts) == 2 && found == 1 && types[0] == "application/pgp-encrypted"
	if found >= 0 && !standard {
		r.m.repaired(at.path, RepairStructure, "")
	}
	if found < 0 {
		r.m.problem(at.path, ProblemNotOpened, "There is no whole OpenPGP message in it.")
	}
	for i, p := range parts {
		here := at.in(fmt.Sprint(i + 1))
		here.root = at.root && standard
		switch {
		case i == found:
			r.parts++
			r.open(block, leaf{typ: "application/octet-stream", mime: true}, here)
		case version[i]:
		default:
			here.root = false
			r.entity(p, here)
		}
	}
}

// ciphertext finds a whole OpenPGP message in c, armored or binary.
func (r *reader) ciphertext(c Content, at place) (Content, bool) {
	c, ok := r.seekable(c, at)
	if !ok {
		return c, false
	}
	switch in, _ := r.look(c); in.shape {
	case pgp.ShapeMessage, pgp.ShapeMixed:
		return in.body, true
	}
	return c, binaryMessage(c.head(20))
}

// binaryMessage reports whether b begins like an OpenPGP message: a key packet (tag 1 or 3) or an
// encrypted container (9, 18, 20).
func binaryMessage(b []byte) bool {
	if len(b) < 20 || b[0]&0x80 == 0 {
		return false
	}
	tag := b[0] >> 2 & 0x0f
	if b[0]&0x40 != 0 {
		tag = b[0] & 0x3f
	}
	switch tag {
	case 1, 3, 9, 18, 20:
		return true
	}
	return false
}

// open opens one message and reads what is inside, or keeps it as a piece of its own.
func (r *reader) open(block Content, l leaf, at place) {
	plain, judgment, failure := r.decrypt(block, at)
	if failure != "" {
		r.m.problem(at.path, ProblemNotOpened, failure)
		r.add(Piece{Kind: KindUnopened, Type: "application/pgp-encrypted", Label: l.name, Content: block}, at)
		return
	}
	inside := at.in("e")
	inside.layers += max(judgment.Layers, 1)
	inside.prot = r.merge(at.prot, judgment)
	inside.covered = at.covered || judgment.Encryption != pgp.EncryptedNone || good(judgment)
	switch {
	case r.looksLikeEntity(plain):
		inside.root = at.root && (l.mime || l.posted)
		r.entity(plain, inside)
	case l.mime:
		r.m.repaired(at.path, RepairBareArmor, "")
		r.text(plain, leaf{typ: "text/plain"}, inside)
	case l.file:
		l.name, l.file = withoutCipherName(l.name), false
		r.leaf(plain, r.asOpened(plain, l), inside)
	default:
		r.text(plain, leaf{typ: "text/plain"}, inside)
	}
}

// decrypt opens block within what is left of the budgets. failure is a sentence for people.
func (r *reader) decrypt(block Content, at place) (plain Content, j pgp.Judgment, failure string) {
	left := r.limits.Opened - r.opened
	switch {
	case r.opens >= r.limits.Opens:
		r.m.problem(at.path, ProblemOpens, "")
		return plain, j, "There is more to open in this message than we try."
	case at.layers >= r.limits.Layers:
		return plain, j, "It is encrypted in too many layers."
	case left <= 0:
		r.m.problem(at.path, ProblemBudget, "")
		return plain, j, "What was opened of this message is as large as we allow."
	}
	r.opens++
	limits := r.limits.PGP
	limits.Output = min(limits.Output, left)
	limits.Unpacked = min(limits.Unpacked, left+packetRoom)
	limits.Depth = min(limits.Depth, r.limits.Layers-at.layers)
	limits.Time = min(limits.Time, max(r.left(), time.Millisecond))
	out := &spool{r: r}
	j, err := pgp.Open(r.ctx, block.section(), r.ring, r.now, limits, out)
	if j.Digest != nil && len(r.m.Ciphertexts) < r.limits.Opens {
		r.m.Ciphertexts = append(r.m.Ciphertexts, j.Digest)
	}
	if err != nil {
		var why *pgp.OpenError
		if errors.As(err, &why) {
			return plain, j, why.Failure.Error()
		}
		if errors.Is(err, errSpooled) {
			r.m.problem(at.path, ProblemBudget, "")
		}
		return plain, j, "It could not be opened."
	}
	r.opened += out.size
	return out.content(), j, ""
}

// packetRoom is what packets around a plaintext may add to it when unpacked.
const packetRoom = 1 << 10

// looksLikeEntity reports whether plaintext is a MIME entity and not just text with a colon.
func (r *reader) looksLikeEntity(c Content) bool {
	head, _, whole := r.scan(c).splitEntity(c, DefaultLimits.Header)
	if !whole || len(head) > DefaultLimits.Header {
		return false
	}
	h := parseHeader(head)
	return h.bad == 0 && h.first("content-type") != ""
}

// alternative reads the forms of one content. Where there is a plain text with something in it,
// the other forms need not be shown.
func (r *reader) alternative(parts []Content, at place) {
	chosen := -1
	for i, p := range parts {
		if typ, body := r.peek(p); typ == "text/plain" && !body.empty(blanks) {
			chosen = i
			break
		}
	}
	for i, p := range parts {
		here := at.child(i + 1)
		here.alternative = at.alternative || chosen >= 0 && i != chosen
		r.entity(p, here)
	}
}

// enclosed reads a message inside a message. Its header is shown, and proves nothing.
func (r *reader) enclosed(body Content, at place) {
	fields, _ := r.headed(body)
	h := fields.interpret()
	at.root, at.enclosed = false, true
	summary := "From: " + h.From + "\nTo: " + h.To + "\nSubject: " + h.Subject + "\n"
	if !h.Date.IsZero() {
		summary += "Date: " + formatDate(h.Date) + "\n"
	}
	r.add(Piece{Kind: KindMessage, Type: "message/rfc822", Label: cmp.Or(h.Subject, "message") + ".eml", Text: summary, Content: body}, at)
	r.entity(body, at.child(1))
}
