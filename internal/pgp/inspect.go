package pgp

import (
	"bytes"
	"io"
)

// Shape is what a text turns out to be, judged from the outside. The set is closed.
type Shape string

const (
	ShapeText         Shape = "text"
	ShapeMessage      Shape = "message"       // one whole armored encrypted message, nothing else
	ShapeNotEncrypted Shape = "not-encrypted" // armored as a message, but nothing in it is encrypted
	ShapePublicKey    Shape = "public-key"
	ShapePrivateKey   Shape = "private-key" // anywhere in the text: show none of it to anyone
	ShapeClearSigned  Shape = "clear-signed"
	ShapeSignature    Shape = "signature"
	ShapeBroken       Shape = "broken" // armor begun, but cut off or damaged
	ShapeMixed        Shape = "mixed"  // an armored message with text, or another block, around it
)

// Inspection is what Inspect found.
type Inspection struct {
	Shape Shape

	// Block is the message, key or signature: armor mended and written anew, or
	// the clear-signed text as it came. Nil for text, broken armor and private keys.
	Block []byte

	// Before and After are the text around the block, as it came. Nothing of it
	// is protected by the block. Blank text is left out.
	Before, After []byte

	Repairs    []Repair // in the order of being found
	Recipients []uint64 // key ids of the message's key packets, at most 16; 0 is a hidden recipient
	Why        string   // for ShapeBroken, one sentence for people
}

// maxBlocks is how many armored blocks of one text are looked at.
const maxBlocks = 256

// Inspect judges a text without any key. It never fails: what it does not
// know is text. Only a whole message in well-formed packets is ShapeMessage; the words
// "BEGIN PGP MESSAGE" in a sentence make no message. The result shares memory
// with text.
func Inspect(text []byte) (found Inspection) {
	defer func() {
		if recover() != nil { // no input is known to do this
			found = Inspection{Shape: ShapeBroken, Why: "This text cannot be read."}
		}
	}()
	if !bytes.Contains(text, []byte("PGP")) && !bytes.Contains(text, []byte("pgp")) && !bytes.Contains(text, []byte("Pgp")) {
		return Inspection{Shape: ShapeText}
	}
	first, why := (&blockScanner{text: inMemory(text), signedLeft: 16}).first()
	switch {
	case why != "":
		return Inspection{Shape: ShapeBroken, Why: why}
	case first == nil:
		return Inspection{Shape: ShapeText}
	case first.shape == ShapePrivateKey:
		return Inspection{Shape: ShapePrivateKey}
	}
	return first.inspection(text)
}

// first finds the block that a text is judged by: its first, or the first
// encrypted message. why is set instead where there are too many.
func (s *blockScanner) first() (first *armorBlock, why string) {
	for at, blocks := 0, 0; at < s.text.size; blocks++ {
		b, ok := s.next(at)
		if !ok {
			break
		}
		if blocks == maxBlocks {
			return nil, "This text holds more armored blocks than any real one."
		}
		if b.shape == ShapePrivateKey {
			return b, ""
		}
		if first == nil {
			first = b
		} else if first.shape == ShapeMessage || b.shape == ShapeMessage {
			first.crowded = true
			if first.shape != ShapeMessage && b.shape == ShapeMessage {
				b.crowded = true
				first = b
			}
		}
		at = b.end
	}
	return first, ""
}

// armorBlock is one block found in a text: text[start:end].
type armorBlock struct {
	start, end int
	shape      Shape
	kind       string
	body       []byte      // decoded; only its end where spool is set
	packets    io.ReaderAt // the whole of it
	size       int64       // of packets
	repairs    []Repair
	recipients []uint64
	why        string
	crowded    bool // another block stands beside it
}

func (b *armorBlock) inspection(text []byte) Inspection {
	in := Inspection{Shape: b.shape, Repairs: b.repairs, Recipients: b.recipients, Why: b.why}
	if s := text[:b.start]; !blank(s) {
		in.Before = s
	}
	if s := text[b.end:]; !blank(s) {
		in.After = s
	}
	switch b.shape {
	case ShapeBroken:
		in.Before, in.After, in.Repairs = nil, nil, nil
		return in
	case ShapeClearSigned:
		in.Block = text[b.start:b.end]
		return in
	case ShapeMessage:
		if b.crowded || in.Before != nil || in.After != nil {
			in.Shape = ShapeMixed
		}
	}
	in.Block = armored(b.kind, b.body)
	return in
}

func blank(s []byte) bool {
	s = bytes.TrimPrefix(s, byteOrderMark)
	s = bytes.ReplaceAll(s, []byte("\u00a0"), nil)
	return len(bytes.Trim(s, " \t\r\n\v\f>|\x00")) == 0
}

// lineAt gives the line that begins at text[at], and where the next begins.
func lineAt(text []byte, at int) (line []byte, next int) {
	i := bytes.IndexByte(text[at:], '\n')
	if i < 0 {
		return text[at:], len(text)
	}
	return text[at : at+i], at + i + 1
}

// mayBeMarker is a cheap test before a line is cleaned.
func mayBeMarker(line []byte) bool {
	return bytes.Contains(line, []byte("PGP")) || bytes.Contains(line, []byte("pgp")) || bytes.Contains(line, []byte("Pgp"))
}

// blockScanner finds armored blocks. It bounds how often it looks for the end
// of a signed text, the one search that may run over the same text again.
type blockScanner struct {
	text       *source
	signedLeft int
}

// next finds the next armored block at or after text[at].
func (s *blockScanner) next(at int) (*armorBlock, bool) {
	inside := false // a line that is read in pieces
	for at < s.text.size {
		line, next, cut := s.text.line(at)
		if !inside && mayBeMarker(line) {
			clean, repairs := cleanLine(line)
			if m, ok := parseMarker(clean); ok && m.begin && knownKind(m.kind) {
				if m.kind == armorSigned {
					if s.signedLeft > 0 {
						s.signedLeft--
						if b, ok := s.clearSigned(at, next); ok {
							return b, true
						}
					}
				} else if b, ok := readBlock(s.text, at, next, m, repairs, cut); ok {
					return b, true
				}
			}
		}
		at, inside = next, cut
	}
	return nil, false
}

func knownKind(kind string) bool {
	switch kind {
	case armorMessage, armorPublicKey, armorPrivateKey, armorSignature, armorSigned,
		"PGP SECRET KEY BLOCK", "PGP PRIVATE KEY", "PGP PUBLIC KEY":
		return true
	}
	return bytes.HasPrefix([]byte(kind), []byte("PGP MESSAGE, PART"))
}

// readBlock reads one block whose BEGIN line is text[start:next]. ok is false
// where nothing after it looks like armor: then the line is only quoted somewhere.
func readBlock(text *source, start, next int, m marker, repairs []Repair, cut bool) (*armorBlock, bool) {
	p := newArmorParser()
	p.repair(repairs...)
	p.repair(m.repairs...)
	b := &armorBlock{start: start, kind: m.kind}
	over := false
	if len(m.rest) > 0 {
		p.repair(RepairSpaces)
		over = p.line(m.rest, true)
	}
	at := next
	var spill spilled
	for !over && at < text.size {
		line, after, more := text.line(at)
		if over = p.line(line, cut); p.err == errArmorCut {
			break // that line begins the next block
		}
		at, cut = after, more
		if text.mem == nil && len(p.out) >= heldBlock {
			spill.write(text, p.out)
			p.out = p.out[:0]
		}
	}
	b.end, b.body, b.repairs = at, p.out, p.repairs
	b.packets, b.size = bytes.NewReader(p.out), int64(len(p.out))
	if spill.spool != nil {
		spill.write(text, p.out)
		b.packets, b.size = spill.spool, spill.size
	}
	if text.err != nil {
		return nil, false
	}
	if p.decoded == 0 && !p.done && (p.err != nil || !text.blank(next, at)) {
		return nil, false // words, not armor
	}
	if p.longest < 32 && p.decoded > 0 && (p.err == errArmorBroken || containsRepair(p.repairs, RepairSpaces)) {
		return nil, false // a few words that happen to be base64
	}
	b.classify(p)
	return b, true
}

// classify decides from the kind and the packets what the block is.
func (b *armorBlock) classify(p *armorParser) {
	if h, _, _, err := packetAt(b.packets, b.size, 0); b.kind == armorPrivateKey || b.kind == "PGP SECRET KEY BLOCK" || b.kind == "PGP PRIVATE KEY" ||
		(err == nil || err == errCut) && (h.tag == tagSecretKey || h.tag == tagSecretSubkey) {
		b.shape = ShapePrivateKey
		return
	}
	if p.err == errArmorBroken {
		b.shape, b.why = ShapeBroken, "The armored text is damaged: it holds characters that do not belong there."
		return
	}
	switch b.kind {
	case armorMessage:
		b.classifyMessage()
	case armorPublicKey, "PGP PUBLIC KEY":
		b.kind = armorPublicKey
		b.shape = ShapePublicKey
		if !wholePackets(b.packets, b.size) {
			b.cut()
		}
	case armorSignature:
		b.shape = ShapeSignature
		if !wholePackets(b.packets, b.size) {
			b.cut()
		}
	default:
		b.shape, b.why = ShapeBroken, "The message is split over several armored parts, which we cannot join."
	}
	if !p.done && b.shape != ShapeBroken {
		b.repairs = append(b.repairs, RepairNoFooter)
	}
}

func (b *armorBlock) cut() {
	b.shape, b.why = ShapeBroken, "The armored text is cut off: a part of it is missing."
}

func wholePackets(r io.ReaderAt, size int64) bool {
	for at := int64(0); at < size; {
		_, _, next, err := packetAt(r, size, at)
		if err != nil {
			return false
		}
		at = next
	}
	return size > 0
}

// classifyMessage walks the packet headers: key packets, then one encrypted container, whole.
func (b *armorBlock) classifyMessage() {
	keys := 0
	for at := int64(0); at < b.size; {
		h, body, next, err := packetAt(b.packets, b.size, at)
		if err == errCut {
			b.cut()
			return
		}
		if err != nil {
			b.shape, b.why = ShapeBroken, "The armored text is damaged: what it holds is not an OpenPGP message."
			return
		}
		switch h.tag {
		case tagPKESK:
			keys++
			var packet [40]byte // as much as names the recipient
			n, _ := b.packets.ReadAt(packet[:min(int64(len(packet)), next-body)], body)
			if id, ok := recipientOf(packet[:n]); ok && !h.partial && len(b.recipients) < DefaultLimits.KeyPackets {
				b.recipients = append(b.recipients, id)
			}
		case tagSKESK:
			keys++
		case tagMarker, tagPadding:
		case tagSEIPD, tagAEAD, tagSED:
			b.shape = ShapeMessage
			return // what may follow is judged on opening
		case tagSignature, tagOnePass, tagCompressed, tagLiteral:
			if keys == 0 {
				b.shape = ShapeNotEncrypted
				return
			}
			b.shape, b.why = ShapeBroken, "The armored text is damaged: key packets are not followed by an encrypted message."
			return
		case tagPublicKey, tagUserID:
			b.kind, b.shape = armorPublicKey, ShapePublicKey
			return
		default:
			b.shape, b.why = ShapeBroken, "The armored text is damaged: what it holds is not an OpenPGP message."
			return
		}
		at = next
	}
	b.cut()
}

// clearSigned reads a clear-signed text (RFC 9580 §7) from its BEGIN line
// text[start:next] to the end of its signature.
func (s *blockScanner) clearSigned(start, next int) (*armorBlock, bool) {
	inside := false
	for at := next; at < s.text.size; {
		line, after, cut := s.text.line(at)
		if !inside && mayBeMarker(line) {
			clean, repairs := cleanLine(line)
			m, ok := parseMarker(clean)
			switch {
			case !ok || !m.begin:
			case m.kind == armorSignature:
				sig, ok := readBlock(s.text, at, after, m, repairs, cut)
				if !ok {
					return nil, false
				}
				b := &armorBlock{start: start, end: sig.end, kind: armorSigned, shape: ShapeClearSigned, repairs: sig.repairs}
				if sig.shape != ShapeSignature {
					b.shape, b.why = ShapeBroken, "The signature under the signed text is damaged or cut off."
				}
				return b, true
			case m.kind == armorPrivateKey:
				return nil, false // let it be found for what it is
			}
		}
		at, inside = after, cut
	}
	s.signedLeft = 0 // no signature follows this one, nor any later one
	return nil, false
}
