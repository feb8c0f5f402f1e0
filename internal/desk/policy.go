package desk

import (
	"errors"
	"slices"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/policy"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) policyRoutes() {
	d.page(pages.PathPolicy, team, d.policyPage)
	d.form(pages.PathPolicy, disclosure.Admin, 0, d.policyForm)
}

func (d *Desk) policyPage(v *visit) error {
	view, err := d.policyView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Policy(view))
}

func (d *Desk) policyView(v *visit) (pages.PolicyView, error) {
	view := pages.PolicyView{Desk: d.frame(v, ui.NavPolicy), CanApply: v.by.Can(disclosure.Admin)}
	versions, err := d.c.DB.Policies(v.Context(), v.by)
	if err != nil {
		return view, err
	}
	if len(versions) > 0 {
		p := versions[0]
		view.Version, view.Since, view.By, view.Text = p.Version, p.Applied, p.By, p.TOML
	}
	if view.Paused, err = d.c.DB.Paused(v.Context()); err != nil {
		return view, err
	}
	for _, name := range policy.PresetNames {
		view.Presets = append(view.Presets, ui.Option{Value: name, Label: name})
	}
	return view, nil
}

// policyForm names every fault of the text at once; what has none is shown
// with what it changes, and applied by a second press.
func (d *Desk) policyForm(v *visit) error {
	text := strings.ReplaceAll(v.PostFormValue(pages.FieldPolicy), "\r\n", "\n")
	view, err := d.policyView(v)
	if err != nil {
		return err
	}
	view.Text = text
	fresh, err := policy.Parse([]byte(text))
	var wrong policy.Faults
	if errors.As(err, &wrong) {
		for _, f := range wrong {
			view.Faults = append(view.Faults, disclosure.Fault{Field: pages.FieldPolicy, Text: policySentence(f)})
		}
		return v.again(pages.Policy(view))
	}
	if err != nil {
		return err
	}
	if v.PostFormValue(pages.FieldDo) == "apply" {
		if !v.by.SteppedUp(d.c.DB.Wall()) {
			return disclosure.ErrStepUp
		}
		return d.applyPolicy(v, text)
	}
	view.Checked = true
	old, err := d.c.DB.CurrentPolicy(v.Context())
	if err != nil && !errors.Is(err, disclosure.ErrNotFound) {
		return err
	}
	view.Changes = policyChanges(old, fresh)
	return v.render(pages.Policy(view))
}

// applyPolicy puts the text in force and renders the public site anew. While
// the instance is held the site waits for letting go.
func (d *Desk) applyPolicy(v *visit, text string) error {
	if _, err := d.c.DB.ApplyPolicy(v.Context(), v.by, []byte(text)); err != nil {
		return err
	}
	err := d.c.DB.PublishSite(v.Context(), v.by, d.c.Renderer(d.c.DB.Now()).Render)
	if errors.Is(err, disclosure.ErrHeld) {
		return v.flash(pages.PathPolicy, "applied-held")
	}
	if err != nil {
		return err
	}
	d.c.Wake()
	return v.flash(pages.PathPolicy, "applied")
}

func policySentence(f policy.Fault) string {
	return strings.ToUpper(f.String()[:1]) + f.String()[1:]
}

// policyChanges is what becomes different, in sentences; and the keys of what
// no sentence is made about.
func policyChanges(old, fresh *disclosure.Policy) []string {
	if old == nil {
		return lines(policy.Describe(fresh))
	}
	changes := differences(lines(policy.Describe(old)), lines(policy.Describe(fresh)), "No longer: ", "New: ")
	if len(changes) > 0 {
		return changes
	}
	return differences(lines(policy.Format(old)), lines(policy.Format(fresh)), "Was: ", "Is now: ")
}

func differences(old, fresh []string, gone, added string) []string {
	var list []string
	for _, l := range old {
		if !slices.Contains(fresh, l) {
			list = append(list, gone+l)
		}
	}
	for _, l := range fresh {
		if !slices.Contains(old, l) {
			list = append(list, added+l)
		}
	}
	return list
}

func lines(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
}
