package gate

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/server"
	"postern/web/public"
	"postern/web/ui"
)

// The form for those who ask to be told in advance. It makes an arrival sealed
// like a report's, marked as an application, with a mailbox of its own. Where
// the policy takes no applications by form there is no such page.

// takesForm finds the set, or that nothing is here.
func (g *Gate) takesForm() (*set, error) {
	s, err := g.current()
	if err != nil {
		return nil, err
	}
	if !s.policy().TakesApplications("form") {
		return nil, disclosure.ErrNotFound
	}
	return s, nil
}

func (g *Gate) requestView(s *set) public.RequestView {
	p := s.policy()
	v := public.RequestView{Gate: g.frame(""), Announce: p.Announce.Address, Answer: p.Membership.Decide, Idempotency: newKey()}
	for _, words := range p.Membership.Groups {
		v.Groups = append(v.Groups, ui.Option{Value: words, Label: words})
	}
	return v
}

func (g *Gate) requestForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.takesForm()
	if err != nil {
		return err
	}
	if s.file.Notice != "" {
		return server.Render(w, r, http.StatusOK, public.Paused(public.PausedView{Gate: g.frame(""), Key: s.key(g.c.Now())}))
	}
	return server.Render(w, r, http.StatusOK, public.Request(g.requestView(s)))
}

// request takes an application. Whatever goes wrong before the commit, the
// text comes back with what to do.
func (g *Gate) request(w http.ResponseWriter, r *http.Request) error {
	s, err := g.takesForm()
	if err != nil {
		return err
	}
	in, busy := g.begin(r.Context(), s, disclosure.ArrivalApplication, disclosure.ByForm)
	if busy != nil && !errors.Is(busy, errBusy) && !errors.Is(busy, errTooMany) {
		return busy
	}
	if busy == nil {
		defer in.close()
	} else {
		r.Body = http.MaxBytesReader(w, r.Body, smallBody)
		w.Header().Set("Retry-After", "5")
	}
	f := &form{values: map[string]string{}} // without in: files and messages made elsewhere are no part of it
	err = f.read(r)
	switch {
	case f.secret():
		delete(f.values, public.FieldKeyOrPrint)
		return g.requestAgain(w, r, s, f, http.StatusUnprocessableEntity, "", []disclosure.Fault{fieldFault(public.FieldKeyOrPrint, s.says().OwnSecret)})
	case busy != nil:
		err = busy
	case err == nil && paceOf(r.Context()) == paceOver:
		err = errTooMany
	case err == nil && s.file.Notice != "":
		err = errPaused
	}
	if done, err := g.requestProblem(w, r, s, f, err); done || err != nil {
		return err
	}
	if faults := f.judgeRequest(s, in); len(faults) > 0 {
		return g.requestAgain(w, r, s, f, http.StatusUnprocessableEntity, "", faults)
	}
	part, err := in.add(disclosure.PartText, "", "", strings.NewReader(f.get(public.FieldWhy)))
	var got receipt
	if err == nil {
		got, err = in.store(r.Context(), f.key(), nil, part.SHA256)
	}
	if done, err := g.requestProblem(w, r, s, f, err); done || err != nil {
		return err
	}
	return server.Render(w, r, http.StatusCreated, public.Requested(public.RequestedView{
		Gate: g.frame(""), Code: got.Code.Words(), Received: got.Received, Answer: s.policy().Membership.Decide}))
}

// requestProblem answers what went wrong on our side, or with a size, as the
// form for reports does.
func (g *Gate) requestProblem(w http.ResponseWriter, r *http.Request, s *set, f *form, err error) (done bool, _ error) {
	answer, ok := g.formProblem(s, f, err)
	if !ok {
		return false, err
	}
	note := answer.view.Note
	if answer.view.NotStored {
		note = answer.view.Words().Report.NotStoredText
	}
	for _, fault := range answer.view.Faults {
		note = strings.TrimSpace(note + " " + fault.Text)
	}
	return true, g.requestAgain(w, r, s, f, answer.status, note, nil)
}

// requestAgain shows the form with what was typed and every fault at once.
func (g *Gate) requestAgain(w http.ResponseWriter, r *http.Request, s *set, f *form, status int, note string, faults []disclosure.Fault) error {
	v := g.requestView(s)
	get := func(name string) string { return s.echo(f.get(name), echoed) }
	v.Form = public.RequestForm{
		Name: get(public.FieldName), Organization: get(public.FieldOrganization), Role: get(public.FieldRole), Group: get(public.FieldGroup),
		Criterion: get(public.FieldCriterion), Why: get(public.FieldWhy), Address: get(public.FieldAddress), ListAddress: get(public.FieldListAddress),
		Reviewers: get(public.FieldReviewers), Automated: get(public.FieldAutomated), Key: get(public.FieldKeyOrPrint),
	}
	v.Idempotency, v.Note, v.Faults = f.key(), note, faults
	return server.Render(w, r, status, public.Request(v))
}

// judgeRequest names every item that is missing, and puts the others into the
// header that is sealed.
func (f *form) judgeRequest(s *set, in *intake) (faults []disclosure.Fault) {
	p, t := s.policy(), ui.Language(s.policy().Project.Language)
	ask := t.Request
	fault := func(field, text string) { faults = append(faults, fieldFault(field, text)) }
	get := func(field string) string { return strings.TrimSpace(f.get(field)) }
	key := get(public.FieldKeyOrPrint)
	if strings.HasPrefix(key, "-----BEGIN") {
		cert, wrong := s.ownKey(key)
		if wrong != "" {
			fault(public.FieldKeyOrPrint, wrong)
		}
		in.header.Key = cert
	}
	item := func(field, label string, needed bool) {
		switch text := get(field); {
		case text != "":
			in.header.Answers = append(in.header.Answers, disclosure.Answer{Ask: strings.TrimSuffix(label, "?"), Text: text})
		case needed:
			fault(field, ui.Say(ask.Missing, label))
		}
	}
	address := func(field, label string) {
		if a := get(field); a != "" && !plausibleAddress(a) {
			fault(field, ui.Say(ask.NoAddress, label))
		}
	}
	if get(public.FieldName) == "" {
		fault(public.FieldName, ui.Say(ask.Missing, ask.Name))
	}
	in.header.Name = oneLine(get(public.FieldName), 200)
	in.header.Title = oneLine(cmp.Or(get(public.FieldOrganization), get(public.FieldName)), 120)
	if get(public.FieldOrganization) == "" && key == "" {
		fault(public.FieldOrganization, ask.OrganizationOrKey)
	}
	item(public.FieldOrganization, ask.Organization, false)
	item(public.FieldRole, ask.Role, get(public.FieldOrganization) != "")
	if get(public.FieldAddress) == "" {
		fault(public.FieldAddress, ui.Say(ask.Missing, ask.Address))
	}
	address(public.FieldAddress, ask.Address)
	in.header.Address = get(public.FieldAddress)
	if groups := p.Membership.Groups; len(groups) > 0 {
		if !slices.Contains(groups, get(public.FieldGroup)) {
			fault(public.FieldGroup, ui.Say(ask.Missing, ask.Group))
		}
		item(public.FieldGroup, ask.Group, false)
	}
	item(public.FieldCriterion, ask.Criterion, true)
	if get(public.FieldWhy) == "" {
		fault(public.FieldWhy, ui.Say(ask.Missing, ask.Need))
	}
	item(public.FieldListAddress, ask.ListAddress, true)
	address(public.FieldListAddress, ask.ListAddress)
	item(public.FieldReviewers, ask.Reviewers, true)
	item(public.FieldAutomated, ask.Automated, true)
	if len(in.header.Key) == 0 {
		item(public.FieldKeyOrPrint, ask.Key, false)
	}
	return faults
}
