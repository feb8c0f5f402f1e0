package desk

import (
	"errors"
	"io"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/server"
	pages "postern/web/desk"
	"postern/web/ui"
)

// maxPatchForm bounds one upload of patches; a notice holds 25 MiB with all of them.
const maxPatchForm = 32 << 20

func (d *Desk) releaseRoutes() {
	at := pages.PathReleases + "/{release}"
	d.page(pages.PathReleases, team, d.releases)
	d.form(pages.PathReleases, disclosure.Releaser, 0, d.newRelease)
	d.page(at, team, d.releaseRead)
	d.page(at+"/"+pages.ReleaseLedger, disclosure.Releaser|disclosure.Admin, d.releaseLedger)
	for do, step := range d.releaseSteps() {
		d.form(at+"/"+do, disclosure.Releaser, 0, d.releaseStep(do, step))
	}
	d.form(at+"/"+pages.ReleaseAddCase, disclosure.Releaser, 0, d.addCase)
	d.form(at+"/"+pages.ReleasePatch, disclosure.Releaser, maxPatchForm, d.addPatch)
	d.page(at+"/"+pages.ReleasePostpone, disclosure.Releaser, d.postponePage)
	d.form(at+"/"+pages.ReleasePostpone, disclosure.Releaser, 0, d.postpone)
	d.page(at+"/"+pages.ReleaseCallOff, disclosure.Releaser, d.callOffPage)
	d.form(at+"/"+pages.ReleaseCallOff, disclosure.Releaser, 0, d.callOff)
}

func (d *Desk) theRelease(v *visit) (*disclosure.Release, error) {
	r, err := d.c.DB.Release(v.Context(), v.by, disclosure.ReleaseID(v.PathValue("release")))
	if err != nil {
		return nil, err
	}
	d.writeDrafts(r, v.by) // as they will be: the next change stores them
	return r, nil
}

func (d *Desk) releases(v *visit) error {
	view, err := d.releasesView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Releases(view))
}

func (d *Desk) releasesView(v *visit) (pages.ReleasesView, error) {
	view := pages.ReleasesView{Desk: d.frame(v, ui.NavReleases), CanPlan: v.by.Can(disclosure.Releaser)}
	cards, err := d.c.DB.Releases(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	for _, c := range cards {
		row := pages.ReleaseRow{ID: c.ID, Title: c.Title, State: c.State, At: c.At, Zone: c.Zone, Cases: c.Cases}
		if c.State != disclosure.Published && c.State != disclosure.CalledOff {
			r, err := d.c.DB.Release(v.Context(), v.by, c.ID)
			if err != nil {
				return view, err
			}
			row.Missing = len(missing(r, d.c.DB.Now()))
		}
		view.Rows = append(view.Rows, row)
	}
	if view.CanPlan {
		view.Cases, err = d.freeCases(v)
	}
	return view, err
}

// freeCases are the accepted cases in no release.
func (d *Desk) freeCases(v *visit) ([]ui.Option, error) {
	page, err := d.c.DB.Inbox(v.Context(), v.by, postgres.InboxQuery{Tab: postgres.InboxTab(disclosure.Accepted), Limit: 200})
	if err != nil {
		return nil, err
	}
	var list []ui.Option
	for _, c := range page.Rows {
		if c.Release == "" {
			n := strconv.Itoa(c.Number)
			list = append(list, ui.Option{Value: n, Label: "#" + n + " " + c.Title})
		}
	}
	return list, nil
}

func (d *Desk) newRelease(v *visit) error {
	if err := v.ParseForm(); err != nil {
		return err
	}
	title, numbers := v.PostFormValue(pages.FieldTitle), v.PostForm[pages.FieldCase]
	var ids []disclosure.CaseID
	for _, n := range numbers {
		c, err := d.caseNumbered(v, n)
		if err != nil {
			return err
		}
		ids = append(ids, c)
	}
	id, err := d.c.DB.CreateRelease(v.Context(), v.by, title, ids)
	if err == nil {
		return v.flash(pages.ReleasePath(id), "saved")
	}
	list, err := refused(err, "cases", pages.FieldCase)
	if err != nil {
		return err
	}
	view, err := d.releasesView(v)
	if err != nil {
		return err
	}
	view.Faults, view.Form = list, pages.ReleaseDraftForm{Title: title, Cases: numbers}
	return v.again(pages.Releases(view))
}

func (d *Desk) caseNumbered(v *visit, number string) (disclosure.CaseID, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(number), "#"))
	if err != nil || n < 1 || n > 1<<31-1 {
		return "", disclosure.ErrNotFound
	}
	c, err := d.c.DB.CaseByNumber(v.Context(), v.by, n)
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

func (d *Desk) releaseRead(v *visit) error {
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view, err := d.releaseView(v, r)
	if err != nil {
		return err
	}
	return v.render(pages.Release(view))
}

func (d *Desk) releaseLedger(v *visit) error {
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view, err := d.releaseView(v, r)
	if err != nil {
		return err
	}
	return server.Fragment(v.w, v.Request, pages.ReleaseDeliveries(view))
}

// releaseChange is one change a form of a release asks for. done is a key of
// flashes.
type releaseChange struct {
	done   string
	change func(v *visit, r *disclosure.Release) error
}

// releaseSteps is every form that changes the release itself. A change is made
// to it as it stands in the database, under its lock, and only if it is still
// the version that was shown.
func (d *Desk) releaseSteps() map[string]releaseChange {
	now := d.c.DB.Now
	get := func(v *visit, name string) string { return v.PostFormValue(name) }
	return map[string]releaseChange{
		pages.ReleaseTitle: {"saved", func(v *visit, r *disclosure.Release) error {
			return r.SetTitle(get(v, pages.FieldTitle), v.by, now())
		}},
		pages.ReleasePlan:     {"planned", d.plan},
		pages.ReleaseVersions: {"saved", func(v *visit, r *disclosure.Release) error { return setVersions(v, r, now()) }},
		pages.ReleaseUrgent: {"saved", func(v *visit, r *disclosure.Release) error {
			return r.SetUrgent(get(v, pages.FieldUrgent) == "yes", get(v, pages.FieldReason), v.by, now())
		}},
		pages.ReleaseArtefact: {"saved", func(v *visit, r *disclosure.Release) error {
			return r.AddArtefact(get(v, pages.FieldSeries), disclosure.Artefact{Kind: get(v, pages.FieldKind), URL: get(v, pages.FieldURL),
				SHA256: get(v, pages.FieldSHA256)}, v.by, now())
		}},
		pages.ReleasePatchDrop: {"removed", func(v *visit, r *disclosure.Release) error {
			return r.DropPatch(disclosure.FileID(get(v, pages.FieldFile)), v.by, now())
		}},
		pages.ReleaseRemoveCase: {"removed", func(v *visit, r *disclosure.Release) error {
			for _, c := range r.Cases {
				if strconv.Itoa(c.Number) == get(v, pages.FieldCase) {
					return r.Drop(c.ID, v.by, now())
				}
			}
			return disclosure.ErrNotFound
		}},
		pages.ReleaseBegin: {"begun", func(v *visit, r *disclosure.Release) error { return r.Begin(v.by, now()) }},
		pages.ReleaseStep: {"saved", func(v *visit, r *disclosure.Release) error {
			i := slices.IndexFunc(r.Steps, func(s disclosure.Step) bool { return s.Name == get(v, pages.FieldStep) })
			return r.StepDone(i, get(v, pages.FieldLink), v.by, now())
		}},
		pages.ReleaseDraft: {"drafted", func(v *visit, r *disclosure.Release) error {
			_, err := r.AddNotice(disclosure.Audience(get(v, pages.FieldAudience)), v.by, now())
			return err
		}},
	}
}

// releaseStep runs a change; a refusal shows the page again with what was typed.
func (d *Desk) releaseStep(do string, step releaseChange) handler {
	return func(v *visit) error {
		if err := v.ParseForm(); err != nil {
			return err
		}
		id := disclosure.ReleaseID(v.PathValue("release"))
		err := d.c.DB.UpdateRelease(v.Context(), v.by, id, func(r *disclosure.Release) error {
			if err := shown(v, r); err != nil {
				return err
			}
			if err := step.change(v, r); err != nil {
				return err
			}
			d.writeDrafts(r, v.by)
			return nil
		})
		if err == nil {
			d.c.Wake()
			return v.flash(pages.ReleasePath(id), step.done)
		}
		return d.releaseAgain(v, err, func(view *pages.ReleaseView) { typedRelease(v, do, view) })
	}
}

// shown is ErrStale when the form was made for another version of the release.
func shown(v *visit, r *disclosure.Release) error {
	return sameVersion(v, r.Version)
}

// sameVersion is ErrStale when a form was made for another version, and refuses
// one that does not say for which.
func sameVersion(v *visit, is int) error {
	switch v.PostFormValue(pages.FieldVersion) {
	case strconv.Itoa(is):
		return nil
	case "":
		return disclosure.Refuse("", "This form does not say which version it was made for. Open the page again, and send it from there.")
	}
	return disclosure.ErrStale
}

// releaseAgain shows the release with what is wrong; other errors are passed on.
func (d *Desk) releaseAgain(v *visit, err error, keep func(*pages.ReleaseView)) error {
	list, err := refused(err, "series", pages.ID("patch", pages.FieldSeries), "case", pages.ID("patch", pages.FieldCase),
		"name", pages.FieldPatch, "file", pages.FieldPatch, "cases", pages.FieldCase)
	if err != nil {
		return err
	}
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view, err := d.releaseView(v, r)
	if err != nil {
		return err
	}
	for i, f := range list {
		if series, ok := strings.CutPrefix(f.Field, "versions/"); ok {
			list[i].Field = pages.Indexed(pages.FieldNumber, slices.Index(view.Series, series))
		}
		if j := slices.IndexFunc(r.Steps, func(s disclosure.Step) bool { return s.Name == v.PostFormValue(pages.FieldStep) }); f.Field == pages.FieldLink && j >= 0 {
			list[i].Field = pages.Indexed(pages.FieldLink, j)
		}
	}
	view.Faults = list
	keep(&view)
	return v.again(pages.Release(view))
}

// typedRelease puts what was typed back into the view.
func typedRelease(v *visit, do string, view *pages.ReleaseView) {
	r := *view.Release
	switch do {
	case pages.ReleaseTitle:
		r.Title = v.PostFormValue(pages.FieldTitle)
	case pages.ReleasePlan:
		view.Form = planForm(v)
	case pages.ReleaseUrgent:
		view.Form.Reason = v.PostFormValue(pages.FieldReason)
	case pages.ReleaseVersions:
		r.Versions = nil
		for _, x := range typedVersions(v) {
			r.Versions = append(r.Versions, disclosure.Version{Series: x.Series, Number: x.Number, NoPatch: x.NoPatch})
		}
	}
	view.Release = &r
}

func planForm(v *visit) pages.PlanForm {
	return pages.PlanForm{At: v.PostFormValue(pages.FieldAt), Zone: v.PostFormValue(pages.FieldZone), Reason: v.PostFormValue(pages.FieldReason),
		Urgent: v.PostFormValue(pages.FieldUrgent) == "yes", Typed: v.PostFormValue(pages.FieldTyped)}
}

const hourForm = "2006-01-02T15:04"

// hour reads a date and hour in a zone; an unknown zone is the rules' to name.
func hour(text, zone string) (time.Time, error) {
	loc, err := disclosure.LoadZone(strings.TrimSpace(zone))
	if err != nil {
		loc = time.UTC
	}
	at, err := time.ParseInLocation(hourForm, strings.TrimSpace(text), loc)
	if err != nil {
		return at, disclosure.Refuse(pages.FieldAt, "Write date and hour like 2026-02-03T15:00.")
	}
	return at, nil
}

// plan sets the hour, then drafts what the policy asks for.
func (d *Desk) plan(v *visit, r *disclosure.Release) error {
	f, now := planForm(v), d.c.DB.Now()
	if strings.TrimSpace(f.Zone) == "" {
		f.Zone = r.Zone
	}
	at, err := hour(f.At, f.Zone)
	if f.Urgent != r.Urgent {
		err = all(err, r.SetUrgent(f.Urgent, f.Reason, v.by, now))
	}
	if at.IsZero() {
		return err
	}
	if err := all(err, r.Plan(at, strings.TrimSpace(f.Zone), f.Reason, v.by, now)); err != nil {
		return err
	}
	return r.DraftNotices(v.by, now)
}

func typedVersions(v *visit) []disclosure.Version {
	var list []disclosure.Version
	for i := range 200 {
		if series := v.PostFormValue(pages.Indexed(pages.FieldSeries, i)); series != "" {
			list = append(list, disclosure.Version{Series: series, Number: strings.TrimSpace(v.PostFormValue(pages.Indexed(pages.FieldNumber, i))),
				NoPatch: strings.TrimSpace(v.PostFormValue(pages.Indexed(pages.FieldNoPatch, i)))})
		}
	}
	return list
}

// setVersions changes what was typed anew; what is as it was takes no approval back.
func setVersions(v *visit, r *disclosure.Release, now time.Time) error {
	var errs []error
	for _, x := range typedVersions(v) {
		var was disclosure.Version
		if i := slices.IndexFunc(r.Versions, func(y disclosure.Version) bool { return y.Series == x.Series }); i >= 0 {
			was = r.Versions[i]
		}
		if x.Number != was.Number {
			errs = append(errs, r.SetVersion(x.Series, x.Number, v.by, now))
		}
		if x.NoPatch != was.NoPatch {
			errs = append(errs, r.SetNoPatch(x.Series, x.NoPatch, v.by, now))
		}
	}
	return all(errs...)
}

func (d *Desk) addCase(v *visit) error {
	id := disclosure.ReleaseID(v.PathValue("release"))
	c, err := d.caseNumbered(v, v.PostFormValue(pages.FieldCase))
	if err != nil {
		return err
	}
	if err := d.c.DB.GatherCases(v.Context(), v.by, id, []disclosure.CaseID{c}); err != nil {
		return d.releaseAgain(v, err, func(*pages.ReleaseView) {})
	}
	return v.flash(pages.ReleasePath(id)+"#cases", "saved")
}

// addPatch reads the form as it streams in: each file goes straight into
// sealed chunks of the release. The fields come before the files.
func (d *Desk) addPatch(v *visit) error {
	id := disclosure.ReleaseID(v.PathValue("release"))
	parts, err := v.MultipartReader()
	if err != nil {
		return d.releaseAgain(v, disclosure.Refuse(pages.FieldPatch, "The form could not be read. Send it again."), func(*pages.ReleaseView) {})
	}
	count, err := d.readPatches(v, id, parts)
	if err == nil && count == 0 {
		err = disclosure.Refuse(pages.FieldPatch, "Choose the patch files.")
	}
	if err != nil {
		return d.releaseAgain(v, err, func(*pages.ReleaseView) {})
	}
	return v.flash(pages.ReleasePath(id)+"#patches", "saved")
}

func (d *Desk) readPatches(v *visit, id disclosure.ReleaseID, parts *multipart.Reader) (count int, err error) {
	var p disclosure.Patch
	for range 600 {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		switch name := part.FormName(); {
		case name == pages.FieldPatch && part.FileName() != "":
			p.Name = part.FileName()
			if _, err := d.c.DB.AddPatch(v.Context(), v.by, id, p, part); err != nil {
				return count, err
			}
			count++
		case name == pages.FieldSeries || name == pages.FieldCase || name == pages.FieldReplace:
			text, err := io.ReadAll(io.LimitReader(part, 1000))
			if err != nil {
				return count, err
			}
			if name == pages.FieldSeries {
				p.Series = string(text)
			} else if name == pages.FieldReplace {
				p.Replace = string(text) == "yes"
			} else if len(text) > 0 {
				if p.Case, err = d.caseNumbered(v, string(text)); err != nil {
					return count, err
				}
			}
		}
	}
	return count, disclosure.Refuse(pages.FieldPatch, "These are too many parts for one upload.")
}

func (d *Desk) postponePage(v *visit) error {
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	return v.render(pages.Postpone(d.postponeView(v, r)))
}

func (d *Desk) postponeView(v *visit, r *disclosure.Release) pages.PostponeView {
	told, queued := told(r)
	return pages.PostponeView{Desk: d.frame(v, ui.NavReleases), Release: r, Form: hourOf(r, d.c.DB.Now()), Told: told, Queued: queued}
}

func (d *Desk) postpone(v *visit) error {
	id, f := disclosure.ReleaseID(v.PathValue("release")), planForm(v)
	err := d.c.DB.UpdateRelease(v.Context(), v.by, id, func(r *disclosure.Release) error {
		if err := shown(v, r); err != nil {
			return err
		}
		at, err := hour(f.At, f.Zone)
		if err != nil {
			return err
		}
		if err := r.Plan(at, strings.TrimSpace(f.Zone), f.Reason, v.by, d.c.DB.Now()); err != nil {
			return err
		}
		if err := r.DraftNotices(v.by, d.c.DB.Now()); err != nil {
			return err
		}
		d.writeDrafts(r, v.by)
		return nil
	})
	if err == nil {
		d.c.Wake()
		return v.flash(pages.ReleasePath(id), "postponed")
	}
	list, err := refused(err)
	if err != nil {
		return err
	}
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view := d.postponeView(v, r)
	view.Faults, view.Form = list, f
	return v.again(pages.Postpone(view))
}

func (d *Desk) callOffPage(v *visit) error {
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	return v.render(pages.CallOff(d.callOffView(v, r)))
}

func (d *Desk) callOffView(v *visit, r *disclosure.Release) pages.CallOffView {
	told, queued := told(r)
	return pages.CallOffView{Desk: d.frame(v, ui.NavReleases), Release: r, Told: told, Queued: queued, Name: r.Title}
}

func (d *Desk) callOff(v *visit) error {
	id, f := disclosure.ReleaseID(v.PathValue("release")), planForm(v)
	err := d.c.DB.UpdateRelease(v.Context(), v.by, id, func(r *disclosure.Release) error {
		if err := shown(v, r); err != nil {
			return err
		}
		var wrong error
		if !r.Named(f.Typed) {
			wrong = typedWrong(r.Title)
		}
		if err := all(wrong, r.CallOff(f.Reason, v.by, d.c.DB.Now())); err != nil {
			return err
		}
		d.writeDrafts(r, v.by)
		return nil
	})
	if err == nil {
		d.c.Wake()
		return v.flash(pages.ReleasePath(id), "called-off")
	}
	list, err := refused(err)
	if err != nil {
		return err
	}
	r, err := d.theRelease(v)
	if err != nil {
		return err
	}
	view := d.callOffView(v, r)
	view.Faults, view.Form = list, f
	return v.again(pages.CallOff(view))
}
