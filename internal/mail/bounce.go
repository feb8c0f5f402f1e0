package mail

import (
	"bytes"
	"regexp"
	"strings"
)

// Bounce is what a delivery status notification says (RFC 3464). Anyone can write one: it counts
// only for a delivery that its Token or MessageIDs find, which nobody can guess.
type Bounce struct {
	// Token is that of the address the notification was sent to, or of our own addresses in
	// the returned header. MessageIDs are those of the returned message, for providers that
	// refuse foreign envelope senders; EnvelopeID is our ENVID, if the relay gave it back.
	Token      string
	MessageIDs []string
	EnvelopeID string

	Recipients []BounceRecipient // at most a hundred; empty where the notification is in prose only
}

// BounceRecipient is one group of fields of message/delivery-status.
type BounceRecipient struct {
	Final    string // Final-Recipient, without its type
	Original string // Original-Recipient, without its type
	Action   string // failed, delayed, delivered, relayed, expanded; lower case; "" if none of them
	Status   string // "5.1.1"; "" if malformed
	Detail   string // Diagnostic-Code, one line of at most 500 octets
}

// Failed reports whether any recipient was given up.
func (b Bounce) Failed() bool {
	for _, r := range b.Recipients {
		if r.Action == "failed" || r.Action == "" && strings.HasPrefix(r.Status, "5") {
			return true
		}
	}
	return false
}

var (
	statusPat    = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)
	proseID      = regexp.MustCompile(`(?im)^[> \t]*message-id:[ \t]*(<[!-;=?-~]{1,480}>)`)
	bounceLimits = Limits{Parts: 50, Depth: 5, Header: 256 << 10, Fields: 1000, Message: 25 << 20}
)

// ReadBounce reads raw, which came to the envelope recipient rcpt, as a notification about the
// fate of a message of ours. ok is false when it is none: neither a delivery status report nor a
// message from nobody that returns something of ours.
func ReadBounce(raw []byte, rcpt string) (b Bounce, ok bool) {
	if int64(len(raw)) > bounceLimits.Message {
		raw = raw[:bounceLimits.Message]
	}
	b.Token, _ = FindToken(rcpt)
	head, body := splitEntity(raw)
	h := parseHeader(head)
	typ, params := contentType(h.first("content-type"), "text/plain")
	w := bounceWalk{b: &b, left: bounceLimits.Parts}
	if strings.HasPrefix(typ, "multipart/") {
		w.multipart(body, params["boundary"], 0)
	}
	if w.status {
		return b, true
	}
	// Some servers write prose only. Such a message is a bounce when nobody sent it and it came
	// to a token, or returns a Message-ID.
	auto := h.automatic()
	if !auto.NullSender && !auto.Daemon {
		return Bounce{}, false
	}
	if len(b.MessageIDs) == 0 {
		for _, m := range proseID.FindAllSubmatch(body[:min(len(body), 1<<20)], 5) {
			b.MessageIDs = append(b.MessageIDs, string(m[1]))
		}
	}
	return b, b.Token != "" || len(b.MessageIDs) > 0
}

type bounceWalk struct {
	b      *Bounce
	left   int
	status bool // a message/delivery-status was there
}

func (w *bounceWalk) multipart(body []byte, boundary string, depth int) {
	if boundary == "" || len(boundary) > 200 || depth >= bounceLimits.Depth {
		return
	}
	parts, _, _ := splitMultipart(body, boundary, w.left)
	for _, p := range parts {
		if w.left--; w.left < 0 {
			return
		}
		head, content := splitEntity(p)
		h := parseHeader(head)
		typ, params := contentType(h.first("content-type"), "text/plain")
		content, _ = decodeTransfer(content, h.first("content-transfer-encoding"))
		switch {
		case typ == "message/delivery-status" || typ == "message/global-delivery-status":
			w.status = true
			w.groups(content)
		case typ == "message/rfc822" || typ == "text/rfc822-headers" || typ == "message/global" || typ == "message/global-headers":
			w.returned(content)
		case strings.HasPrefix(typ, "multipart/"):
			w.multipart(content, params["boundary"], depth+1)
		}
	}
}

// groups reads the blocks of fields of a delivery status: one about the message, then one for
// each recipient.
func (w *bounceWalk) groups(content []byte) {
	content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	for len(content) > 0 && len(w.b.Recipients) < 100 {
		var block []byte
		block, content, _ = bytes.Cut(content, []byte("\n\n"))
		h := parseHeader(append(bytes.Clone(block), '\n'))
		if id := h.first("original-envelope-id"); id != "" && w.b.EnvelopeID == "" {
			w.b.EnvelopeID = truncate(decodeWords(id), 100)
		}
		if h.count("final-recipient") == 0 && h.count("action") == 0 {
			continue
		}
		r := BounceRecipient{
			Final:    typed(h.first("final-recipient")),
			Original: typed(h.first("original-recipient")),
			Detail:   truncate(typed(h.first("diagnostic-code")), 500),
		}
		switch action := strings.ToLower(firstWord(h.first("action"))); action {
		case "failed", "delayed", "delivered", "relayed", "expanded":
			r.Action = action
		}
		if status := firstWord(h.first("status")); statusPat.MatchString(status) {
			r.Status = status
		}
		w.b.Recipients = append(w.b.Recipients, r)
	}
}

// returned reads the header of our own message, as it came back.
func (w *bounceWalk) returned(content []byte) {
	head, _ := splitEntity(content)
	h := parseHeader(head)
	if id := firstID(h.first("message-id")); id != "" && len(w.b.MessageIDs) < 5 {
		w.b.MessageIDs = append(w.b.MessageIDs, id)
	}
	for _, key := range []string{"return-path", "reply-to"} {
		if w.b.Token == "" {
			w.b.Token, _ = FindToken(h.first(key))
		}
	}
}

// typed drops the type of "rfc822; someone@example.org" and makes one plain line of the rest.
func typed(s string) string {
	if _, rest, ok := strings.Cut(s, ";"); ok {
		s = rest
	}
	return truncate(decodeWords(s), 500)
}

func firstWord(s string) string {
	if words := strings.Fields(s); len(words) > 0 {
		return words[0]
	}
	return ""
}
