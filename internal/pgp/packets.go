package pgp

import (
	"encoding/binary"
	"errors"
	"io"
)

// Packet tags (RFC 9580 §5) that are told apart without the library.
const (
	tagPKESK         = 1
	tagSignature     = 2
	tagSKESK         = 3
	tagOnePass       = 4
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagCompressed    = 8
	tagSED           = 9
	tagMarker        = 10
	tagLiteral       = 11
	tagTrust         = 12
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagSEIPD         = 18
	tagAEAD          = 20
	tagPadding       = 21
)

var (
	errCut       = errors.New("packet cut off")
	errNotPacket = errors.New("not a packet")
)

// header is one packet header.
type header struct {
	tag     int
	length  int64 // of the body, or of its first part
	partial bool  // more parts follow
	open    bool  // old format without a length: to the end
}

// readHeader reads the header that b begins with and gives its size.
// errCut says that b is too short to tell.
func readHeader(b []byte) (header, int, error) {
	if len(b) == 0 {
		return header{}, 0, errCut
	}
	if b[0]&0x80 == 0 {
		return header{}, 0, errNotPacket
	}
	if b[0]&0x40 == 0 { // old format
		h := header{tag: int(b[0]>>2) & 0xf}
		if b[0]&3 == 3 {
			h.open = true
			return h, 1, nil
		}
		n := 1 << (b[0] & 3)
		if len(b) < 1+n {
			return h, 0, errCut
		}
		for _, c := range b[1 : 1+n] {
			h.length = h.length<<8 | int64(c)
		}
		return h, 1 + n, nil
	}
	h := header{tag: int(b[0] & 0x3f)}
	length, partial, n, err := readLength(b[1:])
	h.length, h.partial = length, partial
	return h, 1 + n, err
}

// readLength reads a new-format length (RFC 9580 §4.2.1).
func readLength(b []byte) (length int64, partial bool, size int, err error) {
	switch {
	case len(b) == 0:
		return 0, false, 0, errCut
	case b[0] < 192:
		return int64(b[0]), false, 1, nil
	case b[0] < 224:
		if len(b) < 2 {
			return 0, false, 0, errCut
		}
		return int64(b[0]-192)<<8 + int64(b[1]) + 192, false, 2, nil
	case b[0] < 255:
		return 1 << (b[0] & 0x1f), true, 1, nil
	}
	if len(b) < 5 {
		return 0, false, 0, errCut
	}
	return int64(binary.BigEndian.Uint32(b[1:])), false, 5, nil
}

// splitPacket takes one whole packet off b. body is nil for a packet in parts,
// whose parts are only counted.
func splitPacket(b []byte) (h header, body, whole, rest []byte, err error) {
	h, n, err := readHeader(b)
	if err != nil {
		return h, nil, nil, nil, err
	}
	if h.open {
		return h, b[n:], b, nil, nil
	}
	if h.length > int64(len(b)-n) {
		return h, b[n:], nil, nil, errCut
	}
	end := n + int(h.length)
	if !h.partial {
		return h, b[n:end], b[:end], b[end:], nil
	}
	for partial := true; partial; {
		length, more, size, err := readLength(b[end:])
		if err != nil {
			return h, nil, nil, nil, err
		}
		if length > int64(len(b)-end-size) {
			return h, nil, nil, nil, errCut
		}
		end += size + int(length)
		partial = more
	}
	return h, nil, b[:end], b[end:], nil
}

// packetAt finds the packet that begins at in a body of size bytes: where its
// own body begins and where the next packet does. errCut says that it is not
// whole; the header may be known all the same.
func packetAt(r io.ReaderAt, size, at int64) (h header, body, next int64, err error) {
	var head [6]byte
	peek := func(at int64) []byte {
		n, _ := r.ReadAt(head[:min(int64(len(head)), max(size-at, 0))], at)
		return head[:n]
	}
	h, n, err := readHeader(peek(at))
	if err != nil {
		return h, 0, 0, err
	}
	body = at + int64(n)
	if h.open {
		return h, body, size, nil
	}
	next = body + h.length
	for partial := h.partial; next <= size; {
		if !partial {
			return h, body, next, nil
		}
		length, more, n, err := readLength(peek(next))
		if err != nil {
			return h, body, 0, err
		}
		next, partial = next+int64(n)+length, more
	}
	return h, body, 0, errCut
}

// recipientOf reads the key id in the body of a PKESK; 0 is a hidden
// recipient (RFC 9580 §5.1). ok is false where the version is unknown.
func recipientOf(body []byte) (id uint64, ok bool) {
	switch {
	case len(body) >= 9 && body[0] == 3:
		return binary.BigEndian.Uint64(body[1:9]), true
	case len(body) >= 2 && body[0] == 6:
		n := int(body[1])
		switch {
		case n == 0:
			return 0, true
		case n == 21 && len(body) >= 23 && body[2] == 4:
			return binary.BigEndian.Uint64(body[15:23]), true
		case n == 33 && len(body) >= 11 && body[2] == 6:
			return binary.BigEndian.Uint64(body[3:11]), true
		}
	}
	return 0, false
}

// Addressing says for whom a message is. The set is closed.
type Addressing string

const (
	ToUs       Addressing = "us"
	ToOthers   Addressing = "others"
	CannotTell Addressing = "cannot-tell" // cut off, a hidden recipient, a passphrase, or more key packets than we look at
)

// Addressee is what the key packets of a message say.
type Addressee struct {
	To         Addressing
	Ours       []uint64 // those of the message's key ids that were in the caller's list
	Others     []uint64 // the rest; 0 is a hidden recipient
	Passphrase bool     // a passphrase would open it, too
}

// maxAddressedText is how much text Addressed passes over in search of armor.
const maxAddressedText = 64 << 10

// Addressed tells for whom a message is from its packet headers alone: at most
// 16 key packets or 16 KiB of r's bytes (DefaultLimits) are looked at, and no
// key is used. r may be armored or binary. A reader's error counts as cut off.
func Addressed(r io.Reader, ours []uint64) Addressee {
	a := Addressee{To: CannotTell}
	bin, isArmor, err := dearmor(io.LimitReader(r, maxAddressedText))
	if err != nil {
		return a
	}
	_ = isArmor
	head := make([]byte, 0, 1024)
	limit := int(DefaultLimits.KeyPacketBytes)
	more := func() bool { // reads as little as will do
		if len(head) >= limit {
			return false
		}
		want := min(cap(head), limit)
		if len(head) == want {
			grown := make([]byte, len(head), min(2*cap(head)+64, limit))
			copy(grown, head)
			head, want = grown, cap(grown)
		}
		n, err := io.ReadFull(bin, head[len(head):want])
		head = head[:len(head)+n]
		return n > 0 && (err == nil || err == io.ErrUnexpectedEOF || err == io.EOF)
	}
	at, packets := 0, 0
	for {
		h, n, err := readHeader(head[at:])
		if err == errCut && more() {
			continue
		}
		if err != nil {
			return a.settle(false)
		}
		switch h.tag {
		case tagSEIPD, tagAEAD, tagSED:
			return a.settle(packets > 0)
		case tagPKESK, tagSKESK, tagMarker, tagPadding:
		default:
			return a.settle(false)
		}
		if h.partial || h.open {
			return a.settle(false)
		}
		if packets++; packets > DefaultLimits.KeyPackets {
			return a.settle(false)
		}
		end := int64(at+n) + h.length
		for int64(len(head)) < end && more() {
		}
		if int64(len(head)) < end {
			return a.settle(false)
		}
		switch h.tag {
		case tagPKESK:
			a.note(head[at+n:end], ours)
		case tagSKESK:
			a.Passphrase = true
		}
		at = int(end)
	}
}

// note files one PKESK. One of an unknown version counts as a hidden recipient.
func (a *Addressee) note(body []byte, ours []uint64) {
	id, _ := recipientOf(body)
	if id != 0 {
		for _, o := range ours {
			if o == id {
				a.Ours = append(a.Ours, id)
				return
			}
		}
	}
	a.Others = append(a.Others, id)
}

// settle draws the conclusion; whole says that all key packets were seen.
func (a Addressee) settle(whole bool) Addressee {
	switch {
	case len(a.Ours) > 0:
		a.To = ToUs
	case !whole || a.Passphrase || len(a.Others) == 0:
		a.To = CannotTell
	default:
		a.To = ToOthers
		for _, id := range a.Others {
			if id == 0 {
				a.To = CannotTell
			}
		}
	}
	return a
}
