package mail

import (
	"slices"
	"time"

	"postern/internal/pgp"
)

// Limits bounds what one message may cost. Every field must be positive. All limits of this
// package are here; those of opening are in pgp.Limits.
type Limits struct {
	Message int64         // octets as it came
	Header  int           // octets of one header block; what is over is not read
	Fields  int           // header fields of one block
	Parts   int           // MIME entities, all levels and all opened layers together
	Depth   int           // entities inside entities, opened layers included
	Opens   int           // attempts to open or verify, and armored blocks taken out of texts
	Inspect int64         // octets looked through for armor, all texts together
	Marks   int           // times a text over 1 MiB may say "PGP" and still be looked through
	Layers  int           // messages opened inside opened messages
	Opened  int64         // octets of plaintext of all of them together
	Spooled int64         // octets kept aside in all: plaintext, armor and transfer encoding taken off
	Held    int64         // octets of one text that are held in memory; longer ones are read where they lie
	HTML    int           // octets of one HTML text that are read
	Text    int           // octets of one piece's Text; its Content stays whole
	Texts   int           // octets of all pieces' Text together
	Time    time.Duration // processor time of one Read, without what it reads from
	PGP     pgp.Limits    // for each opening; its Output and Unpacked shrink with Opened
}

// DefaultLimits are the limits for anything a stranger may send.
var DefaultLimits = Limits{
	Message: 25 << 20,
	Header:  256 << 10,
	Fields:  1000,
	Parts:   200,
	Depth:   8,
	Opens:   16,
	Inspect: 64 << 20,
	Marks:   1024,
	Layers:  3,
	Opened:  64 << 20,
	Spooled: 160 << 20,
	Held:    1 << 20,
	HTML:    2 << 20,
	Text:    1 << 20,
	Texts:   4 << 20,
	Time:    10 * time.Second,
	PGP:     pgp.DefaultLimits,
}

// Header is what the header of a message says, decoded for people. Nothing in it is proven.
type Header struct {
	From, To, Cc, ReplyTo string // as written, decoded; may hold several addresses
	Subject               string
	Date                  time.Time // zero when absent or unreadable
	MessageID             string    // with angle brackets; empty when absent or malformed
	InReplyTo             []string
	References            []string

	// FromAddress and ReplyToAddress are set only where the field stands once and holds exactly
	// one plain address: nobody else is ever answered.
	FromAddress    string
	ReplyToAddress string

	Automatic Automatic
}

// Automatic gathers the signs that no person sent a message just now (RFC 3834 §2, RFC 2919,
// RFC 3464). It is taken from the outer header, as the way there wrote it.
type Automatic struct {
	Submitted  string // Auto-Submitted, without parameters, when it is not "no"
	Precedence string // bulk, junk, list or auto_reply
	List       bool   // List-Id or another List- field
	NullSender bool   // Return-Path: <>
	Report     bool   // multipart/report
	Suppressed bool   // X-Auto-Response-Suppress or X-Autoreply and the like
	Daemon     bool   // from mailer-daemon, postmaster, no-reply …
}

// Is reports whether nothing automatic may be sent in answer.
func (a Automatic) Is() bool { return a != Automatic{} }

// Kind says what a piece of a message is to its reader. The set is closed.
type Kind string

const (
	KindText       Kind = "text"        // shown as it is
	KindHTML       Kind = "html"        // shown as the text that was left of it
	KindAttachment Kind = "attachment"  // a file; never shown by itself
	KindMessage    Kind = "message"     // an enclosed message; its own pieces follow
	KindKey        Kind = "key"         // an OpenPGP public key
	KindPrivateKey Kind = "private-key" // refused: neither Text nor Content are kept here
	KindSignature  Kind = "signature"   // a signature that belongs to another piece
	KindReport     Kind = "report"      // message/delivery-status and the like
	KindUnopened   Kind = "unopened"    // encrypted, and we could not open it; Content is the ciphertext
)

// Piece is one leaf of a message, in reading order. Pieces are never joined: what one of them
// says about protection is true for no other.
type Piece struct {
	Path  string // "1.2": place in the tree; "e" stands for an opened layer
	Kind  Kind
	Type  string // the media type it claims
	Label string // a name that is safe to show and to save under; empty when none was given
	Text  string // UTF-8 with LF, other control characters as U+FFFD; at most Limits.Text
	Cut   bool   // Text is not all of it

	// Content is the octets after transfer decoding and opening, before charset decoding.
	Content Content

	// Protection is what covers this very piece, from the outside in.
	Protection pgp.Judgment

	// Alternative marks another form of the piece before it, which need not be shown.
	Alternative bool

	// Enclosed marks what belongs to an enclosed message.
	Enclosed bool
}

// Code names a finding. The set is closed.
type Code string

// Repairs: what was mended to read a message.
const (
	RepairMixedUp   Code = "mixed-up"    // Exchange's mangled PGP/MIME put together again
	RepairStructure Code = "structure"   // multipart/encrypted of a wrong shape; the armor was found all the same
	RepairBareArmor Code = "bare-armor"  // opened, and no MIME inside: taken as text
	RepairArmor     Code = "armor"       // armor mended; Detail says how
	RepairFromHTML  Code = "from-html"   // the armor was found in HTML
	RepairLineEnds  Code = "line-ends"   // a signature was checked after LF was made CRLF
	RepairUnclosed  Code = "unclosed"    // closing boundary missing
	RepairTransfer  Code = "transfer"    // damaged base64 or quoted-printable
	RepairCharset   Code = "charset"     // unknown or wrong charset; Detail names it
	RepairHeader    Code = "header-line" // header lines that are none
)

// Problems: what a person should look at.
const (
	ProblemTooLarge      Code = "too-large"      // over Limits.Message; not read
	ProblemHeaderLimit   Code = "header-limit"   // header longer than Limits; its rest was not read
	ProblemParts         Code = "parts-limit"    // more parts than Limits; the rest is in the original
	ProblemDepth         Code = "depth-limit"    // nested deeper than Limits; kept as a file
	ProblemOpens         Code = "opens-limit"    // more to open, or to look through, than Limits
	ProblemBudget        Code = "budget"         // opened more than Limits allows in all
	ProblemTime          Code = "time-limit"     // took longer than Limits; the rest is in the original
	ProblemNotOpened     Code = "not-opened"     // Detail says why, for people
	ProblemBroken        Code = "broken-armor"   // armor cut off or damaged
	ProblemPrivateKey    Code = "private-key"    // somebody sent a private key
	ProblemSMIME         Code = "smime"          // S/MIME is kept, not read
	ProblemTNEF          Code = "winmail"        // winmail.dat is kept, not read
	ProblemExternal      Code = "external-body"  // content elsewhere; never fetched
	ProblemFrom          Code = "from"           // no, several or malformed From
	ProblemTwice         Code = "twice"          // a field that may stand once stands twice; Detail names it
	ProblemFromDiffers   Code = "from-differs"   // the protected From is not the outer one
	ProblemMisplaced     Code = "misplaced"      // protected header fields where none count; ignored
	ProblemPart          Code = "part-only"      // protection covers a part of the message only
	ProblemTextCut       Code = "text-cut"       // Text was cut at Limits.Text
	ProblemBoundary      Code = "boundary"       // multipart without a usable boundary
	ProblemMalformed     Code = "malformed"      // not a message at all
	ProblemInternal      Code = "internal"       // reading failed inside; the original needs a person
	ProblemSignatureForm Code = "signature-form" // multipart/signed of a wrong shape
)

// Finding is one thing that was repaired or needs attention.
type Finding struct {
	Path   string // of the piece; empty: the message
	Code   Code
	Detail string // for people, may be empty; holds no plaintext
}

// Message is what Read made of some bytes.
type Message struct {
	// Header is what to show: the outer header, with Subject, Date, To, Cc and threading fields
	// from the protected one where there is one. From is always the outer one.
	Header

	Outer     Header  // as everybody on the way could read and change it
	Protected *Header // from inside the encryption or signature; nil: none

	Pieces []Piece

	// Protection is the whole message's: what covers its pieces, with IntegrityPart where it
	// does not cover all of them alike.
	Protection pgp.Judgment

	Repairs  []Finding
	Problems []Finding

	// Ciphertexts are the digests of what was encrypted in it (pgp.Judgment.Digest).
	Ciphertexts [][]byte

	nested bool // something signed lies inside something signed

	raw []field // outer header, for AuthenticationResults
}

// NeedsAttention reports whether a person has to look at the original: something could not be
// opened or read.
func (m *Message) NeedsAttention() bool {
	for _, p := range m.Problems {
		switch p.Code {
		case ProblemTextCut, ProblemPart, ProblemMisplaced, ProblemFromDiffers, ProblemTwice, ProblemExternal, ProblemFrom:
		default:
			return true
		}
	}
	return false
}

// Body returns the text of the message for showing and searching in one go: the first text that
// is no mere alternative, and its piece. Further texts are further pieces.
func (m *Message) Body() (Piece, bool) {
	for _, p := range m.Pieces {
		if (p.Kind == KindText || p.Kind == KindHTML) && !p.Alternative && !p.Enclosed && p.Text != "" {
			return p, true
		}
	}
	return Piece{}, false
}

func (m *Message) repaired(path string, code Code, detail string) {
	f := Finding{path, code, detail}
	if len(m.Repairs) < 100 && !slices.Contains(m.Repairs, f) {
		m.Repairs = append(m.Repairs, f)
	}
}

func (m *Message) problem(path string, code Code, detail string) {
	f := Finding{path, code, detail}
	if len(m.Problems) < 100 && !slices.Contains(m.Problems, f) {
		m.Problems = append(m.Problems, f)
	}
}
