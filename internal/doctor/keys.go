package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/vault"
)

// Days a key or a file must still be good for.
const (
	renewDays = 45
	lateDays  = 14
)

func (e *exam) vault(ctx context.Context) {
	v := e.DB.Vault()
	if v == nil {
		return
	}
	slots, err := e.DB.Slots(ctx, disclosure.System("doctor"))
	if err != nil {
		e.failed("What opens the vault", err)
		return
	}
	phrases := 0
	for _, s := range slots {
		if s.Kind == vault.SlotPassphrase {
			phrases++
		}
	}
	switch {
	case len(slots) <= 1:
		e.add(Warn, "Only one secret opens the vault.", "If it is forgotten, every report is lost for good.", "add a passphrase at the desk, under Vault")
	case phrases == 0:
		e.add(Warn, "Only recovery phrases open the vault.", "They are meant for a safe, not for every start.", "add a passphrase at the desk, under Vault")
	default:
		e.ok("%s open the vault.", plural(len(slots), "secret", "secrets"))
	}
	if !v.Unlocked() {
		e.add(Warn, "The vault is locked.", "Reports are taken and sealed, and nobody can read them.", "postern unlock")
	}
}

// keys looks at each subkey: with the secrets while unlocked, else at what the
// certificate says.
func (e *exam) keys(ctx context.Context) {
	const mend = "postern key renew"
	cert, retired, err := e.certificate(ctx)
	switch {
	case err != nil:
		e.failed("The team's key", err)
		return
	case cert == nil && retired > 0:
		e.add(Fail, "The team has no current key.", "Nothing can be encrypted to the team, or signed by it.", "postern key import FILE")
		return
	case cert == nil:
		if e.DB.Instance() != "" {
			e.add(Fail, "The team has no key.", "Nothing can be encrypted to the team, or signed by it.", "postern key import FILE")
		}
		return
	}
	now := e.Now()
	if !e.unlocked() {
		e.certificateOnly(cert, now, mend)
		return
	}
	keys, err := e.DB.TeamKeys(ctx, disclosure.System("doctor"))
	if err != nil || len(keys) == 0 {
		e.failed("The team's secret key", errors.Join(err, errors.New("there is none")))
		return
	}
	secret, err := pgp.ParseSecret(keys[0].Secret, nil)
	clear(keys[0].Secret)
	if err != nil {
		e.add(Fail, "The team's secret key cannot be read: "+sentence(err), "Nothing can be opened or signed.", "postern key import FILE")
		return
	}
	for _, use := range []struct {
		word string
		has  func(pgp.Subkey) bool
		lost string
	}{
		{"signing", func(k pgp.Subkey) bool { return k.CanSign }, "Notices, announcements and security.txt cannot be signed after that."},
		{"encryption", func(k pgp.Subkey) bool { return k.CanEncrypt }, "Reporters cannot encrypt to the team after that."},
	} {
		e.bestSubkey(secret.Subkeys(now), use.word, use.lost, use.has, now, mend)
	}
}

// bestSubkey judges the one of a use that lasts longest.
func (e *exam) bestSubkey(list []pgp.Subkey, word, lost string, has func(pgp.Subkey) bool, now time.Time, mend string) {
	var best *pgp.Subkey
	for i, k := range list {
		if !has(k) || k.Revoked || !k.Available || !k.Expires.IsZero() && !k.Expires.After(now) {
			continue
		}
		if best == nil || k.Expires.IsZero() || !best.Expires.IsZero() && k.Expires.After(best.Expires) {
			best = &list[i]
		}
	}
	if best == nil {
		e.add(Fail, "The team has no "+word+" key that can be used.", lost, mend)
		return
	}
	e.until("The team's "+word+" key "+short(best.Fingerprint), best.Expires, now, lost, mend)
}

func (e *exam) certificateOnly(cert *pgp.Certificate, now time.Time, mend string) {
	for _, use := range []struct {
		word string
		err  error
	}{{"sign", cert.CanSign(now)}, {"be encrypted to", cert.CanEncrypt(now)}} {
		if use.err != nil {
			e.add(Fail, "The team's key cannot "+use.word+": "+sentence(use.err), "What needs it does not work.", mend)
		}
	}
	if until, ok := cert.Expires(now); ok && until.After(now) {
		e.until("The team's encryption key", until, now, "Reporters cannot encrypt to the team after that.", mend)
	}
}

func (e *exam) until(what string, until, now time.Time, lost, mend string) {
	if until.IsZero() {
		e.ok("%s has no end set.", what)
		return
	}
	days := int(until.Sub(now).Hours() / 24)
	text := fmt.Sprintf("%s is good for %s.", what, plural(days, "day", "days"))
	switch {
	case days < lateDays:
		e.add(Fail, text, lost, mend)
	case days < renewDays:
		e.add(Warn, text, lost, mend)
	default:
		e.ok("%s", text)
	}
}

func short(fingerprint string) string {
	if len(fingerprint) > 16 {
		return fingerprint[len(fingerprint)-16:]
	}
	return fingerprint
}

// certificate is the team's current one; nil: there is none.
func (e *exam) certificate(ctx context.Context) (current *pgp.Certificate, retired int, err error) {
	keys, err := e.DB.PublicKeys(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, k := range keys {
		switch {
		case k.Kind != "team":
		case !k.Retired.IsZero():
			retired++
		default:
			certs, err := pgp.ParseCertificates(k.Public)
			if err != nil {
				return nil, 0, err
			}
			current = certs[0]
		}
	}
	return current, retired, nil
}

// securityTxtPath is where RFC 9116 section 3 wants it.
const securityTxtPath = "/.well-known/security.txt"

func (e *exam) securityTxt(ctx context.Context) {
	docs, err := e.DB.Documents(ctx)
	if err != nil {
		e.failed("security.txt", err)
		return
	}
	var text []byte
	for _, d := range docs {
		if d.Path == securityTxtPath {
			text = d.Bytes
		}
	}
	const why = "Who looks for a way to report may not find or trust it."
	if len(text) == 0 {
		e.add(Warn, "There is no security.txt yet.", why, "postern unlock: it is signed and published then by itself")
		return
	}
	cert, _, err := e.certificate(ctx)
	if err != nil || cert == nil {
		return // said before
	}
	inside, j, err := pgp.OpenClearSigned(text, func(id uint64) []pgp.Known {
		for _, k := range cert.KeyIDs() {
			if k == id {
				return []pgp.Known{{Certificate: cert, Label: "team"}}
			}
		}
		return nil
	}, e.Now())
	switch {
	case err != nil:
		e.add(Fail, "security.txt cannot be read: "+sentence(err), why, "postern policy apply FILE")
		return
	case j.Signature != pgp.SignatureValidKnown || j.Integrity != pgp.IntegrityWhole:
		e.add(Fail, fmt.Sprintf("security.txt is not signed by the team's current key (signature %s).", strings.TrimSpace(string(j.Signature)+" "+string(j.Problem))),
			why, "postern policy apply FILE, with the vault unlocked")
		return
	}
	if bytes.Contains(inside, []byte(": http://")) {
		e.add(Warn, "security.txt is published with addresses without TLS.", "RFC 9116 wants https there; programs that look for it pass it over.",
			"set POSTERN_GATE_URL to the https address of the gate, then postern serve again")
	}
	e.expiry(inside, why)
}

func (e *exam) expiry(inside []byte, why string) {
	const mend = "postern policy apply FILE, with the vault unlocked"
	for lines := bufio.NewScanner(bytes.NewReader(inside)); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "Expires: ")
		if !ok {
			continue
		}
		until, err := time.Parse(time.RFC3339, strings.TrimSpace(value))
		if err != nil {
			break
		}
		e.until("security.txt", until, e.Now(), "It is renewed by itself while the vault is unlocked, long before. "+why, mend)
		return
	}
	e.add(Fail, "security.txt has no Expires that can be read (RFC 9116 section 2.5.5).", why, mend)
}
