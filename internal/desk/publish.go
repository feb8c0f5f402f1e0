package desk

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/publish"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) publishRoutes() {
	at := pages.PathReleases + "/{release}/"
	d.page(at+pages.ReleasePublish, disclosure.Triager|disclosure.Releaser, d.publishPage)
	d.form(at+pages.ReleasePublish, disclosure.Releaser, 0, d.stepUp(d.publish))
	d.form(at+pages.ReleaseConfirm, disclosure.Triager|disclosure.Releaser, 0, d.stepUp(d.confirm))
}

func (d *Desk) publishPage(v *visit) error {
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view, err := d.publishView(v, r)
	if err != nil {
		return err
	}
	return v.render(pages.Publish(view))
}

// publish makes the release public. Everything that follows from it is in the
// same transaction, or work's.
func (d *Desk) publish(v *visit) error {
	id, typed := disclosure.ReleaseID(v.PathValue("release")), v.PostFormValue(pages.FieldTyped)
	now := d.c.DB.Now()
	err := d.c.DB.Publish(v.Context(), v.by, id, func(r *disclosure.Release) error {
		if err := shown(v, r); err != nil {
			return err
		}
		if err := r.StillShows(v.PostFormValue(pages.FieldDigest)); err != nil {
			return err
		}
		return r.Publish(typed, v.by, d.c.DB.Now(), d.c.DB.Wall())
	}, d.c.Renderer(now).Render)
	if err == nil {
		d.c.Log.Info("a release was published", "release", id)
		d.c.Wake()
		return v.flash(pages.ReleasePath(id), "published")
	}
	return d.publishAgain(v, err, typed)
}

// confirm is a second member's agreement.
func (d *Desk) confirm(v *visit) error {
	id := disclosure.ReleaseID(v.PathValue("release"))
	err := d.c.DB.UpdateRelease(v.Context(), v.by, id, func(r *disclosure.Release) error {
		if err := shown(v, r); err != nil {
			return err
		}
		if err := r.StillShows(v.PostFormValue(pages.FieldDigest)); err != nil {
			return err
		}
		return r.ConfirmPublishing(v.by, d.c.DB.Now(), d.c.DB.Wall())
	})
	if err != nil {
		return d.publishAgain(v, err, "")
	}
	return v.flash(pages.ReleaseForm(id, pages.ReleasePublish), "agreed")
}

func (d *Desk) publishAgain(v *visit, err error, typed string) error {
	list, err := refused(err, "name", pages.FieldTyped)
	if err != nil {
		return err
	}
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view, err := d.publishView(v, r)
	if err != nil {
		return err
	}
	view.Faults, view.Typed = list, typed
	return v.again(pages.Publish(view))
}

func (d *Desk) publishView(v *visit, r *disclosure.Release) (pages.PublishView, error) {
	now, wall := d.c.DB.Now(), d.c.DB.Wall()
	view := pages.PublishView{Desk: d.frame(v, ui.NavReleases), Release: r, Name: r.Title, Mails: queuedMails(r), Credits: credits(r),
		Digest: r.Shown(), Second: second(r), CanAgree: mayAgree(r, v.by), CanPublish: v.by.Can(disclosure.Releaser)}
	if !v.by.SteppedUp(wall) {
		view.StepUp, view.DemoCode = pages.ReleaseForm(r.ID, pages.ReleasePublish), d.demoCode(v)
	}
	// As if the second factor were fresh: it is asked for on this page.
	by := v.by
	by.Verified = wall
	if by.Can(disclosure.Releaser) {
		list, err := faults(r.Publishable(by, now, wall))
		if err != nil {
			return view, err
		}
		view.Problems = problems(r, list, "publishing")
	}
	if r.State == disclosure.Published || r.State == disclosure.CalledOff {
		return view, nil
	}
	var err error
	view.Documents, err = d.documents(v, r, now)
	return view, err
}

// upcomingPath changes with every pre-announcement, which this page's edition
// does not hold.
const upcomingPath = "/upcoming"

// documents renders the edition that publishing would make, and says what is
// not as it is now.
func (d *Desk) documents(v *visit, r *disclosure.Release, now time.Time) ([]pages.DocumentRow, error) {
	e := disclosure.Edition{At: now, URL: d.c.GateURL, Instance: string(d.c.DB.Instance()), Publishing: r.Advisories(now)}
	var err error
	if e.Policy, err = d.c.DB.CurrentPolicy(v.Context()); err != nil {
		return nil, err
	}
	old, err := d.c.DB.Advisories(v.Context())
	if err != nil {
		return nil, err
	}
	e.Advisories = append(append(e.Advisories, e.Publishing...), old...)
	keys, err := d.c.DB.PublicKeys(v.Context())
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Kind == "team" && k.Retired.IsZero() {
			e.Certificate = k.Public
		}
	}
	renderer := d.c.Renderer(now)
	renderer.Sign = nil // nothing is signed before it is published
	docs, err := renderer.Render(e)
	if err != nil {
		return nil, fmt.Errorf("render what would be public: %w", err)
	}
	public, err := d.c.DB.Documents(v.Context())
	if err != nil {
		return nil, err
	}
	return documentRows(r, e.Publishing, docs, public), nil
}

func documentRows(r *disclosure.Release, publishing []disclosure.Advisory, docs, public []disclosure.Document) []pages.DocumentRow {
	was := map[string][]byte{}
	for _, p := range public {
		was[p.Path] = p.Bytes
	}
	var rows []pages.DocumentRow
	for _, doc := range docs {
		before, known := was[doc.Path]
		switch {
		case !strings.HasPrefix(doc.Path, "/"), doc.Signed && len(doc.Bytes) == 0: // served by no route, or left as it is
			continue
		case doc.Keep && known: // published before
			continue
		case doc.Path == upcomingPath:
			if !toldAhead(r) {
				continue
			}
		case known && bytes.Equal(before, doc.Bytes):
			continue
		}
		row := pages.DocumentRow{Path: doc.Path, What: what(doc), New: !known}
		for _, a := range publishing {
			if strings.HasSuffix(doc.Path, "/"+a.Name) && strings.HasPrefix(doc.Type, "text/html") {
				row.Title = a.Issue.Text.Title
				shown, _ := publish.Shown(doc.Bytes)
				row.Page = ui.SafeHTML(withinPage(string(shown), len(rows)))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// withinPage fits a public page into the desk's, as its nth document: the
// title becomes a heading below the desk's own and looks the same, and what is
// named after a heading is named after the document too, since two advisories
// have the same headings.
func withinPage(shown string, n int) string {
	heading := pages.Indexed("affected", n)
	return strings.NewReplacer("<h1>", `<h3 class="as-h1">`, "</h1>", "</h3>",
		`<h2 id="affected">`, `<h2 id="`+heading+`">`,
		`aria-labelledby="affected"`, `aria-labelledby="`+pages.Indexed("page", n)+" "+heading+`"`).Replace(shown)
}

func toldAhead(r *disclosure.Release) bool {
	for _, n := range r.Notices {
		if n.Audience == disclosure.ToAnnounceAhead && n.State == disclosure.NoticeSent {
			return true
		}
	}
	return false
}

// what names a document by its media type.
func what(doc disclosure.Document) string {
	kind, _, _ := strings.Cut(doc.Type, ";")
	if kind == "text/plain" && strings.HasPrefix(doc.Path, "/advisories/") {
		return "Patch"
	}
	switch kind {
	case "text/html":
		return "Page"
	case "application/atom+xml":
		return "Feed"
	case "application/json", "application/csaf+json":
		return "For machines"
	}
	return "File"
}

// queuedMails are the announcements that leave with it.
func queuedMails(r *disclosure.Release) []pages.MailRow {
	var rows []pages.MailRow
	for _, n := range r.Notices {
		to := map[disclosure.Audience]string{disclosure.ToAnnounce: r.Policy.Announce.Address, disclosure.ToOSS: r.Policy.Announce.OSS}[n.Audience]
		if to != "" && n.State == disclosure.NoticeApproved {
			rows = append(rows, pages.MailRow{To: to, Subject: n.Subject, Text: n.Text})
		}
	}
	return rows
}

func credits(r *disclosure.Release) []string {
	var list []string
	for _, c := range r.Cases {
		list = append(list, c.Credits()...)
	}
	return list
}

// second says who has agreed, where the policy asks for two.
func second(r *disclosure.Release) string {
	if r.Policy.Publish.Members < 2 {
		return ""
	}
	var who []string
	for _, c := range r.Agreed() {
		who = append(who, c.Name+" ("+c.At.UTC().Format("2006-01-02 15:04 UTC")+")")
	}
	if len(who) == 0 {
		return "The policy asks for a second member. Nobody has agreed yet."
	}
	return "Agreed: " + strings.Join(who, ", ") + "."
}

func mayAgree(r *disclosure.Release, by disclosure.Caller) bool {
	for _, c := range r.Agreed() {
		if c.Member == by.Member {
			return false
		}
	}
	return r.Policy.Publish.Members >= 2 && (r.State == disclosure.Scheduled || r.State == disclosure.Notified || r.State == disclosure.Releasing)
}
