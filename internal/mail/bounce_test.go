package mail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dsn = `Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.one.example>
To: bounce+k7qdk7qdk7qdk7qd@team.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.one.example
Original-Envelope-Id: env+2B1

Final-Recipient: rfc822; dist@one.example
Original-Recipient: rfc822;dist@one.example
Action: FAILED
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such
    user here

Final-Recipient: rfc822; other@one.example
Action: exploded
Status: 9.9.9

--b
Content-Type: text/rfc822-headers

Message-ID: <0001@team.example>
Reply-To: security+aaaabbbbccccdddd@team.example
Subject: [...]

--b--
`

func TestReadBounce(t *testing.T) {
	want := Bounce{
		Token: "k7qdk7qdk7qdk7qd", MessageIDs: []string{"<0001@team.example>"}, EnvelopeID: "env+2B1",
		Recipients: []BounceRecipient{
			{Final: "dist@one.example", Original: "dist@one.example", Action: "failed", Status: "5.1.1", Detail: "550 5.1.1 no such user here"},
			{Final: "other@one.example"},
		},
	}
	for _, raw := range []string{dsn, crlf(dsn)} {
		got, ok := ReadBounce([]byte(raw), "bounce+k7qdk7qdk7qdk7qd@team.example")
		if diff := cmp.Diff(got, want); !ok || diff != "" || !got.Failed() {
			t.Errorf("ReadBounce ok %v (-got +want):\n%s", ok, diff)
		}
	}
	got, ok := ReadBounce([]byte(dsn), "security@team.example")
	if !ok || got.Token != "aaaabbbbccccdddd" {
		t.Errorf("without VERP: token %q, %v, want that of the returned Reply-To", got.Token, ok)
	}
}

func TestReadBounceDelayed(t *testing.T) {
	got, ok := ReadBounce([]byte(strings.NewReplacer("FAILED", "delayed", "5.1.1", "4.4.1").Replace(dsn)), "")
	if !ok || got.Failed() || got.Recipients[0].Action != "delayed" {
		t.Errorf("ReadBounce = %+v, %v", got, ok)
	}
}

func TestReadBounceProse(t *testing.T) {
	prose := "Return-Path: <>\nFrom: MAILER-DAEMON@old.example\nSubject: failure notice\n\nSorry.\n\n--- Below this line is a copy.\n\nMessage-ID: <0001@team.example>\nSubject: x\n"
	got, ok := ReadBounce([]byte(prose), "bounce@team.example")
	if !ok || cmp.Diff(got.MessageIDs, []string{"<0001@team.example>"}) != "" || got.Failed() {
		t.Errorf("ReadBounce = %+v, %v, want the returned Message-ID and no verdict", got, ok)
	}
}

func TestReadBounceRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"a reply with our token": "From: dist@one.example\nSubject: Re: x\n\nThank you. Message-ID: <0001@team.example>\n",
		"an auto-reply":          "From: dist@one.example\nAuto-Submitted: auto-replied\n\nOn vacation.\nMessage-ID: <0001@team.example>\n",
		"empty":                  "",
		"nothing of ours":        "Return-Path: <>\nFrom: MAILER-DAEMON@x.example\n\nhello\n",
	} {
		rcpt := "security+k7qdk7qdk7qdk7qd@team.example"
		if name == "nothing of ours" {
			rcpt = "security@team.example"
		}
		if got, ok := ReadBounce([]byte(raw), rcpt); ok {
			t.Errorf("%s: ReadBounce = %+v, want none", name, got)
		}
	}
}

func FuzzReadBounce(f *testing.F) {
	f.Add([]byte(dsn), "bounce+k7qdk7qdk7qdk7qd@team.example")
	f.Add([]byte(crlf(dsn)), "")
	f.Add([]byte("Return-Path: <>\n\nMessage-ID: <a@b>\n"), "x+aaaaaaaa@y")
	f.Fuzz(func(t *testing.T, raw []byte, rcpt string) {
		b, ok := ReadBounce(raw, rcpt)
		if !ok && (b.Token != "" || len(b.Recipients) > 0) {
			t.Fatalf("not ok, and still %+v", b)
		}
		if b.Token != "" && !tokenPat.MatchString(b.Token) {
			t.Fatalf("token %q", b.Token)
		}
		for _, id := range b.MessageIDs {
			if !validMessageID(id) {
				t.Fatalf("id %q", id)
			}
		}
		for _, r := range b.Recipients {
			if strings.ContainsAny(r.Final+r.Original+r.Detail+r.Action+r.Status, "\r\n\x00") || len(r.Detail) > 500 {
				t.Fatalf("recipient %+v", r)
			}
		}
	})
}
