package desk

import (
	"fmt"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) healthRoutes() {
	d.page(pages.PathHealth, 0, d.health)
	d.page(pages.PathHeld, 0, d.health)
	d.form(pages.PathHeld+"/release", disclosure.Admin|disclosure.Releaser, 0, d.stepUp(d.letGo))
}

func (d *Desk) health(v *visit) error {
	view, err := d.healthView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Health(view))
}

func (d *Desk) healthView(v *visit) (pages.HealthView, error) {
	view := pages.HealthView{Desk: d.frame(v, ui.NavHealth)}
	if d.c.Doctor != nil {
		view.Findings, view.Checked = findings(d.c.Doctor(v.Context())), d.c.DB.Now()
	}
	held, err := d.c.DB.Held(v.Context())
	if err != nil || held.Since.IsZero() {
		return view, err
	}
	view.Held, err = d.heldView(v, held)
	return view, err
}

func findings(list []doctor.Finding) []pages.Finding {
	var rows []pages.Finding
	for _, f := range list {
		level := map[doctor.Severity]string{doctor.OK: "ok", doctor.Warn: "warning", doctor.Fail: "fault"}[f.Severity]
		rows = append(rows, pages.Finding{Level: level, What: f.What, Why: f.Why, Mend: f.Mend})
	}
	return rows
}

// letGoTyped is what has to be typed to let go.
const letGoTyped = "let go"

func (d *Desk) heldView(v *visit, held postgres.Held) (*pages.HeldView, error) {
	view := &pages.HeldView{Since: held.Since, Reason: join(held.Because), Confirm: letGoTyped,
		CanLet: v.by.Can(disclosure.Admin) || v.by.Can(disclosure.Releaser)}
	if v.by.Roles&team == 0 {
		view.Would = []string{"let go on what waits; admins and releasers see what that is"}
		return view, nil
	}
	cards, err := d.c.DB.Releases(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	for _, c := range cards {
		r, err := d.c.DB.Release(v.Context(), v.by, c.ID)
		if err != nil {
			return nil, err
		}
		view.Would = append(view.Would, wouldDo(r, d.c.DB.Now())...)
	}
	return view, nil
}

// wouldDo says what of a release goes on once somebody lets go.
func wouldDo(r *disclosure.Release, now time.Time) []string {
	var list []string
	for _, n := range r.Notices {
		waits := n.Tally[disclosure.Queued] + n.Tally[disclosure.Deferred]
		if n.State == disclosure.NoticeSending && waits > 0 {
			list = append(list, fmt.Sprintf("go on sending “%s” to %s: %d of its mails have not left", r.Title, n.Audience.Words(), waits))
		}
		if u := n.Tally[disclosure.Uncertain]; u > 0 {
			list = append(list, fmt.Sprintf("leave %d mails of “%s” to %s uncertain: each needs somebody to decide", u, r.Title, n.Audience.Words()))
		}
	}
	if over := r.State == disclosure.Published || r.State == disclosure.CalledOff; !over && !r.At.IsZero() && now.After(r.At) {
		list = append(list, fmt.Sprintf("allow publishing “%s”, whose hour was %s", r.Title, r.At.UTC().Format("2006-01-02 15:04 UTC")))
	}
	return list
}

// letGo lets things leave again, and makes public what was decided meanwhile.
func (d *Desk) letGo(v *visit) error {
	err := typedWrong(letGoTyped)
	if strings.TrimSpace(v.PostFormValue(pages.FieldTyped)) == letGoTyped {
		err = d.c.DB.LetGo(v.Context(), v.by)
	}
	if err == nil {
		err = d.c.DB.PublishSite(v.Context(), v.by, d.c.Renderer(d.c.DB.Now()).Render)
	}
	if err == nil {
		d.c.Wake()
		return v.flash(pages.PathHealth, "let-go")
	}
	list, err := refused(err)
	if err != nil {
		return err
	}
	view, err := d.healthView(v)
	if err != nil {
		return err
	}
	view.Faults = list
	return v.again(pages.Health(view))
}
