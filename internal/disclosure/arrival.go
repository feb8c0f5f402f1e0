package disclosure

import (
	"encoding/json"
	"fmt"
	"time"
)

// ArrivalKind is what the gate could tell of an arrival without reading it.
type ArrivalKind string

const (
	ArrivalReport      ArrivalKind = "report"      // form or API, with a new mailbox
	ArrivalMessage     ArrivalKind = "message"     // added to a mailbox
	ArrivalMail        ArrivalKind = "mail"        // a mail; whose is found when it is opened
	ArrivalApplication ArrivalKind = "application" // somebody asks to be told in advance
)

// PartKind is what one part of an arrival's body is.
type PartKind string

const (
	PartText    PartKind = "text"    // typed, UTF-8 with LF
	PartOpenPGP PartKind = "openpgp" // one armored OpenPGP message, whole
	PartJSON    PartKind = "json"    // the API's JSON, as sent
	PartMail    PartKind = "mail"    // RFC 5322, as received
	PartFile    PartKind = "file"    // an upload
)

// ArrivalPart is one piece of the body. A body is its parts, one after the
// other, without anything between.
type ArrivalPart struct {
	Kind   PartKind `json:"kind"`
	Name   string   `json:"name,omitempty"` // file name as given, not cleaned
	Type   string   `json:"type,omitempty"` // media type as claimed
	Size   int64    `json:"size"`
	SHA256 string   `json:"sha256"` // hex
}

// Answer is one of the policy's extra questions, answered.
type Answer struct {
	Ask  string `json:"ask"` // "threat-model", as in Intake.Asks
	Text string `json:"text"`
}

// Envelope is what the mail listener was told beside the message. None of it
// is proven.
type Envelope struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Helo    string   `json:"helo,omitempty"`
	Results []string `json:"results,omitempty"` // Authentication-Results of the configured MTA
}

// ArrivalFormat is the newest header this program writes and reads.
const ArrivalFormat = 1

// ArrivalHeader is what the gate seals beside the body. The gate fills it,
// work reads it once the vault is unlocked.
type ArrivalHeader struct {
	Format          int           `json:"format"`
	Mailbox         MailboxID     `json:"mailbox,omitempty"`        // look-up id made from the code
	MailboxPublic   []byte        `json:"mailbox_public,omitempty"` // replies are sealed to it
	Name            string        `json:"name,omitempty"`           // as typed
	Address         string        `json:"address,omitempty"`        // as typed; never verified
	Language        string        `json:"language,omitempty"`       // BCP 47
	Title           string        `json:"title,omitempty"`          // as typed
	Credit          CreditWish    `json:"credit,omitempty"`
	CreditText      string        `json:"credit_text,omitempty"`
	Key             []byte        `json:"key,omitempty"` // the reporter's own certificate, as given
	Answers         []Answer      `json:"answers,omitempty"`
	Envelope        *Envelope     `json:"envelope,omitempty"`
	ClientEncrypted bool          `json:"client_encrypted,omitempty"` // our page encrypted it in the browser
	Secret          bool          `json:"secret,omitempty"`           // a private key was pasted: refused, sealed, never shown
	ToKey           string        `json:"to_key,omitempty"`           // fingerprint or key id the packet headers named; may be empty
	Size            int64         `json:"size"`                       // of the body
	SHA256          string        `json:"sha256"`                     // of the bytes the receipt names, hex
	Parts           []ArrivalPart `json:"parts"`
}

// Encode writes the header for sealing.
func (h ArrivalHeader) Encode() ([]byte, error) {
	h.Format = ArrivalFormat
	return json.Marshal(h)
}

// ParseArrivalHeader reads what Encode wrote, of this format or an older one.
func ParseArrivalHeader(b []byte) (ArrivalHeader, error) {
	var h ArrivalHeader
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("read an arrival's header: %w", err)
	}
	if h.Format < 1 || h.Format > ArrivalFormat {
		return h, fmt.Errorf("an arrival's header has format %d; this program reads up to %d", h.Format, ArrivalFormat)
	}
	return h, nil
}

// MailboxStatus is what a reporter reads of the case, and of their own wishes.
// The planned date is there once that reporter was told of it, and as it was told.
func (c *Case) MailboxStatus(r Reporter, now time.Time) MailboxItem {
	var planned time.Time
	if c.Release != nil && c.State == Embargoed {
		planned = r.ToldDate
	}
	return MailboxItem{Kind: ItemStatus, At: now, Text: StatusWords(c.State), Status: c.State, Planned: planned,
		Credit: r.Credit.Wish, CreditText: r.Credit.Text, OwnKey: r.KeyPrint, Withdrawn: r.Withdrawn}
}

// OwnItem is an arrival as its sender finds it in the mailbox: digests and
// wishes, none of its words. keyPrint is the fingerprint of a key that came along.
func OwnItem(h ArrivalHeader, received time.Time, keyPrint string) MailboxItem {
	it := MailboxItem{Kind: ItemOwn, At: received, Size: h.Size, SHA256: h.SHA256}
	for _, a := range h.Answers {
		switch a.Ask {
		case AnswerCredit:
			it.Credit, it.CreditText = h.Credit, h.CreditText
		case AnswerKey:
			it.OwnKey = keyPrint
		case AnswerWithdraw:
			it.Withdrawn = received
		default:
			continue
		}
		it.Asked = append(it.Asked, a.Ask)
	}
	for _, p := range h.Parts {
		if p.Kind == PartFile {
			it.Files = append(it.Files, MailboxFile{Name: CleanLabel(p.Name), Size: p.Size, SHA256: p.SHA256})
		}
	}
	return it
}

// MailboxItemKind is what lies in a mailbox.
type MailboxItemKind string

const (
	ItemStatus  MailboxItemKind = "status"  // how the case stands, in words; the last one counts
	ItemReply   MailboxItemKind = "reply"   // from the team
	ItemReceipt MailboxItemKind = "receipt" // signed by the team key
	ItemOwn     MailboxItemKind = "own"     // the owner's own message, by time, size and digest
	ItemFile    MailboxItemKind = "file"    // bytes of a reply's file, and nothing else; read on demand
)

// MailboxItem is the plaintext of one item, as JSON. Only whoever holds the
// code reads it.
type MailboxItem struct {
	Kind    MailboxItemKind `json:"kind"`
	At      time.Time       `json:"at"`
	Text    string          `json:"text,omitempty"`
	Status  CaseState       `json:"status,omitempty"`
	Planned time.Time       `json:"planned,omitzero"`
	Size    int64           `json:"size,omitempty"`
	SHA256  string          `json:"sha256,omitempty"`
	Files   []MailboxFile   `json:"files,omitempty"`

	// Asked is what the owner's own message asked for beside its words:
	// AnswerCredit, AnswerKey, AnswerWithdraw.
	Asked []string `json:"asked,omitempty"`

	// The owner's wishes: in a status what we have, in an own message what it asked.
	Credit     CreditWish `json:"credit,omitempty"`
	CreditText string     `json:"credit_text,omitempty"`
	OwnKey     string     `json:"own_key,omitempty"` // fingerprint
	Withdrawn  time.Time  `json:"withdrawn,omitzero"`

	// Encrypted: Text is an armored OpenPGP message to the owner's key, and so is
	// each of the files.
	Encrypted bool `json:"encrypted,omitempty"`

	// ID is the item's own, filled by whoever reads the mailbox.
	ID string `json:"id,omitempty"`
}

// MailboxFile is a file that travels with a reply; of the owner's own files
// only size and digest are kept where the owner reads.
type MailboxFile struct {
	Name   string `json:"name"`
	Type   string `json:"type,omitempty"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // hex
	Item   string `json:"item,omitempty"`   // where its bytes lie, of kind ItemFile
	Bytes  []byte `json:"bytes,omitempty"`  // inside a reply of an earlier version of the program
}

// MailboxInfo names one item for vault.SealToMailbox and vault.Mailbox.Open:
// an item opens only in its own mailbox, under its own id, as its own kind.
func MailboxInfo(instance string, box MailboxID, item string, kind MailboxItemKind) string {
	return "postern/v1 mailbox_item " + instance + " " + string(box) + " " + item + " " + string(kind)
}

// StatusWords is what a reporter reads about the state of a case. It says
// nothing a reporter may not know: no date, no other reporter.
func StatusWords(s CaseState) string {
	switch s {
	case Received:
		return "We have your report; a member of the team will answer."
	case Triage:
		return "The team is looking at your report."
	case Accepted:
		return "The team accepted your report and works on a fix."
	case Embargoed:
		return "A release with the fix is being prepared. Please keep this to yourself until it is out."
	case Disclosed:
		return "The fix is released and the advisory is public."
	case Closed:
		return "The team has closed this report."
	}
	return string(s)
}
