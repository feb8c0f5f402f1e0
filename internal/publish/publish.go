// Package publish makes finished documents from an edition: the public site's
// pages, its feed, the key, security.txt, the static files, and the one file
// the gate reads itself. It decides nothing: what is in an edition is public,
// what is not does not reach this package.
package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/publish/feed"
	"postern/web/public"
	"postern/web/ui"
)

// Renderer says how to render; its zero fields are allowed.
type Renderer struct {
	Version string // of the program; older documents are rendered again by a newer one
	// Sign makes a cleartext signature by the team key. Nil: the vault is
	// locked, and signed documents stay as they are.
	Sign func(text []byte, now time.Time) ([]byte, error)
	Now  func() time.Time
	Demo bool
}

// SecurityTxtLasts is how long a security.txt is good for; it is renewed when
// seven tenths of that are over.
const SecurityTxtLasts = 90 * 24 * time.Hour

// Render makes every document of the edition. A Signed document without Bytes
// means: leave the stored one as it is.
func (r Renderer) Render(e disclosure.Edition) ([]disclosure.Document, error) {
	site := &site{Renderer: r, e: e}
	if err := site.readKey(); err != nil {
		return nil, err
	}
	steps := []func() error{site.pages, site.advisories, site.machine, site.key, site.securityTxt, site.static, site.gateFile}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for i := range site.docs {
		site.docs[i].Rendered = r.Version
	}
	return site.docs, nil
}

type site struct {
	Renderer
	e    disclosure.Edition
	cert *pgp.Certificate
	docs []disclosure.Document
}

func (s *site) add(d disclosure.Document) { s.docs = append(s.docs, d) }

func (s *site) readKey() error {
	if len(s.e.Certificate) == 0 {
		return nil
	}
	certs, err := pgp.ParseCertificates(s.e.Certificate)
	if err != nil {
		return fmt.Errorf("read the team's certificate: %w", err)
	}
	s.cert = certs[0]
	return nil
}

// frame is what each finished page knows. It has no time: a document does not
// change because somebody renders it again.
func (s *site) frame(current string) ui.Gate {
	p := s.e.Policy
	return ui.Gate{
		Page:    ui.Page{T: ui.Language(p.Project.Language), Project: p.Project, Contact: p.Contact.Address, Demo: s.Demo},
		Current: current,
		Paused:  p.Intake.Paused,
	}
}

func (s *site) page(path string, c ui.Component) error {
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		return fmt.Errorf("render %s: %w", path, err)
	}
	s.add(disclosure.Document{Path: path, Type: "text/html; charset=utf-8", Bytes: b.Bytes()})
	return nil
}

// Key is the team's key as pages show it.
func Key(cert *pgp.Certificate, now time.Time) public.Key {
	if cert == nil {
		return public.Key{}
	}
	k := public.Key{Fingerprint: cert.Fingerprint()}
	if ids := cert.UserIDs(); len(ids) > 0 {
		k.UserID = ids[0]
	}
	if until, ok := cert.Expires(now); ok {
		k.Expires = until
	}
	return k
}

func (s *site) pages() error {
	p := s.e.Policy
	if err := s.page(public.PathHome, public.Home(public.HomeView{Gate: s.frame(ui.NavHome), Policy: p, Roster: s.e.Roster, Key: Key(s.cert, s.e.At),
		Applications: p.TakesApplications("form")})); err != nil {
		return err
	}
	if err := s.page(public.PathUpcoming, public.Upcoming(public.UpcomingView{Gate: s.frame(ui.NavUpcoming), Items: s.e.Upcoming})); err != nil {
		return err
	}
	return s.page(public.PathAdvisories, public.Advisories(public.AdvisoriesView{
		Gate: s.frame(ui.NavAdvisories), Items: s.e.Advisories, Announce: p.Announce.Address}))
}

func (s *site) advisories() error {
	for _, a := range s.e.Advisories {
		v := public.AdvisoryView{Gate: s.frame(ui.NavAdvisories), Advisory: a}
		for _, part := range []struct {
			to   *ui.SafeHTML
			from string
		}{
			{&v.Body.Summary, a.Issue.Text.Summary}, {&v.Body.Description, a.Issue.Text.Description},
			{&v.Body.Impact, a.Issue.Text.Impact}, {&v.Body.Remedy, a.Issue.Text.Remedy}, {&v.Body.Workaround, a.Issue.Text.Workaround},
		} {
			html, err := Markdown(part.from)
			if err != nil {
				return fmt.Errorf("render advisory %s: %w", a.Name, err)
			}
			*part.to = html
		}
		v.Timeline = append(v.Timeline, public.TimelineItem{At: a.Published, Text: "Published"})
		if a.Updated.After(a.Published) {
			v.Timeline = append(v.Timeline, public.TimelineItem{At: a.Updated, Text: fmt.Sprintf("Version %d", a.Version)})
		}
		if !a.Withdrawn.IsZero() {
			v.Timeline = append(v.Timeline, public.TimelineItem{At: a.Withdrawn, Text: "Withdrawn"})
		}
		if err := s.page(public.PathAdvisories+"/"+a.Name, public.Advisory(v)); err != nil {
			return err
		}
		if err := s.patches(a); err != nil {
			return err
		}
	}
	return nil
}

// patches are published byte for byte with their advisory, and stay as they
// were published: they are made from nothing.
func (s *site) patches(a disclosure.Advisory) error {
	publishing := s.e.Patch != nil && slices.ContainsFunc(s.e.Publishing, func(p disclosure.Advisory) bool { return p.Name == a.Name })
	for _, p := range a.Patches {
		if p.Path == "" {
			continue // published before patches were
		}
		d := disclosure.Document{Path: p.Path, Type: "text/plain; charset=utf-8", Keep: true}
		if publishing {
			b, err := s.e.Patch(p.SHA256)
			if err != nil {
				return fmt.Errorf("publish the patch %s of %s: %w", p.Name, a.Name, err)
			}
			if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.SHA256 {
				return fmt.Errorf("publish the patch %s of %s: its bytes are not those of its digest", p.Name, a.Name)
			}
			d.Bytes, d.Keep = b, false
		}
		s.add(d)
	}
	return nil
}

// Shown is the part of a finished page that says something: what stands
// between its header and its footer, as it is served.
func Shown(page []byte) (ui.SafeHTML, bool) {
	_, rest, ok := bytes.Cut(page, []byte("<main"))
	if !ok {
		return "", false
	}
	_, rest, ok = bytes.Cut(rest, []byte(">"))
	main, _, closed := bytes.Cut(rest, []byte("</main>"))
	return ui.SafeHTML(main), ok && closed
}

func (s *site) machine() error {
	b, err := feed.Write(s.e.URL, s.e.Policy, s.e.Advisories)
	if err != nil {
		return err
	}
	s.add(disclosure.Document{Path: public.PathFeed, Type: feed.Type, Bytes: b})
	return nil
}

func (s *site) key() error {
	if s.cert != nil {
		s.add(disclosure.Document{Path: public.PathKey, Type: "application/pgp-keys", Bytes: s.cert.Armored()})
	}
	return nil
}

// SecurityTxtPath is where RFC 9116 section 3 wants it.
const SecurityTxtPath = "/.well-known/security.txt"

// securityTxt follows RFC 9116; Canonical stands inside the signed text
// (section 2.3).
func (s *site) securityTxt() error {
	d := disclosure.Document{Path: SecurityTxtPath, Type: "text/plain; charset=utf-8", Signed: true}
	if s.Sign == nil {
		s.add(d)
		return nil
	}
	now := s.e.At.UTC().Truncate(time.Second)
	p := s.e.Policy
	var b strings.Builder
	line := func(field, value string) { fmt.Fprintf(&b, "%s: %s\n", field, value) }
	line("Contact", s.e.URL+public.PathReport)
	if p.Contact.Address != "" {
		line("Contact", "mailto:"+p.Contact.Address)
	}
	line("Expires", now.Add(SecurityTxtLasts).Format(time.RFC3339))
	if s.cert != nil {
		line("Encryption", s.e.URL+public.PathKey)
	}
	line("Preferred-Languages", p.Project.Language)
	line("Canonical", s.e.URL+SecurityTxtPath)
	line("Policy", s.e.URL+public.PathHome)
	if old := s.e.Signed[SecurityTxtPath]; s.stillGood(old, b.String()) {
		d.Renew = old.Renew
		s.add(d) // without bytes: the stored one stays
		return nil
	}
	signed, err := s.Sign([]byte(b.String()), now)
	if err != nil {
		return fmt.Errorf("sign security.txt: %w", err)
	}
	d.Bytes = signed
	d.Renew = now.Add(SecurityTxtLasts * 7 / 10)
	s.add(d)
	return nil
}

// stillGood reports whether the stored security.txt says what the new one
// would, is signed by the key of today, and need not be renewed yet. What is
// signed changes with its content alone: its ETag must not tell that something
// else was published.
func (s *site) stillGood(old disclosure.Document, fresh string) bool {
	if len(old.Bytes) == 0 || s.cert == nil || old.Renew.IsZero() || !s.e.At.Before(old.Renew) {
		return false
	}
	known := func(uint64) []pgp.Known { return []pgp.Known{{Certificate: s.cert, Label: "team"}} }
	text, judged, err := pgp.OpenClearSigned(old.Bytes, known, s.e.At)
	return err == nil && judged.Signature == pgp.SignatureValidKnown && judged.Integrity == pgp.IntegrityWhole &&
		withoutExpiry(string(text)) == withoutExpiry(fresh)
}

func withoutExpiry(text string) string {
	var kept []string
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if !strings.HasPrefix(line, "Expires: ") && line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func (s *site) static() error {
	for _, name := range ui.PublicFiles() {
		b, err := fs.ReadFile(ui.Static(), name)
		if err != nil {
			return fmt.Errorf("read the static file %s: %w", name, err)
		}
		s.add(disclosure.Document{Path: ui.StaticPrefix + name, Type: ui.StaticType(name), Bytes: b})
	}
	return nil
}

func (s *site) gateFile() error {
	b, err := disclosure.GateFile{Instance: s.e.Instance, URL: s.e.URL, Rendered: s.Version, Policy: s.e.Policy, Notice: s.e.Policy.Intake.Paused}.Encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", disclosure.GateFilePath, err)
	}
	s.add(disclosure.Document{Path: disclosure.GateFilePath, Type: "application/json", Bytes: b})
	return nil
}
