package desk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

// Who asks to be told in advance is known to those who may enroll
// distributors, behind a step-up like the private list itself. For everybody
// else there are no applications.
func (d *Desk) applicationRoutes() {
	at := pages.ApplicationPattern
	page := func(pattern string, h handler) { d.page(pattern, disclosure.Admin, d.stepUp(h)) }
	form := func(do string, h handler) { d.form(at+"/"+do, disclosure.Admin, 0, d.stepUp(h)) }
	page(pages.PathApplications, d.applications)
	page(at, d.application)
	page(at+"/files/{file}/download", d.applicationFile)
	page(at+"/originals/{arrival}", d.applicationOriginal)
	form(pages.ApplicationAnswer, d.answerApplicant)
	form(pages.ApplicationTakeBack, d.takeBackAnswer)
	form(pages.ApplicationReport, d.makeReport)
	form(pages.ApplicationSetAside, d.applicationStep("set-aside", func(v *visit, a *disclosure.Application) error {
		return a.SetAside(v.PostFormValue(pages.FieldReason), v.by, d.c.DB.Now())
	}))
	form(pages.ApplicationTakeUp, d.applicationStep("taken-up", func(v *visit, a *disclosure.Application) error {
		return a.TakeUp(v.by, d.c.DB.Now())
	}))
	form(pages.ApplicationKey, d.applicationStep("saved", d.applicantKey))
}

// maxApplications bounds either half of the list.
const maxApplications = 500

func (d *Desk) applications(v *visit) error {
	open, over, err := d.c.DB.Applications(v.Context(), v.by, maxApplications)
	if err != nil {
		return err
	}
	policy, err := d.c.DB.CurrentPolicy(v.Context())
	if err != nil {
		return err
	}
	view := pages.ApplicationsView{Desk: d.frame(v, ui.NavApplications)}
	for _, a := range open {
		view.Open = append(view.Open, applicationRow(a))
	}
	for _, a := range over {
		view.Over = append(view.Over, applicationRow(a))
	}
	if policy.TakesApplications("mail") {
		view.MailTo, view.Subject = policy.Contact.Address, policy.Membership.Subject
	}
	if policy.TakesApplications("form") {
		view.FormURL = d.c.GateURL + "/notifications/request"
	}
	return v.render(pages.Applications(view))
}

func applicationRow(a *disclosure.Application) pages.ApplicationRow {
	row := pages.ApplicationRow{Number: a.Number, Who: a.Applicant.Label(), Address: a.Applicant.Address, State: a.State, Channel: a.Channel,
		Protection: a.Protection, Received: a.Received, Unread: a.Unread, Attention: a.Attention, Reason: a.Reason, Case: a.Case}
	for _, c := range a.Clocks() {
		if c.Running() {
			row.Clock = &c
		}
	}
	return row
}

// openApplications is how many the bar shows; below 0: no link at all, for
// whom there are none, and where the policy takes none and none wait.
func openApplications(v *visit, a *postgres.Around) int {
	if !disclosure.SeesApplications(v.by) {
		return -1
	}
	if p := a.Policy; a.Applications == 0 && p != nil && !p.TakesApplications("mail") && !p.TakesApplications("form") {
		return -1
	}
	return a.Applications
}

// theApplication opens the one of the path.
func (d *Desk) theApplication(v *visit) (postgres.ApplicationThread, error) {
	n, err := applicationNumber(v.PathValue("application"))
	if err != nil {
		return postgres.ApplicationThread{}, err
	}
	return d.c.DB.Application(v.Context(), v.by, n)
}

func applicationNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<31-1 {
		return 0, disclosure.ErrNotFound
	}
	return n, nil
}

func (d *Desk) application(v *visit) error {
	a, err := d.theApplication(v)
	if err != nil {
		return err
	}
	view := d.applicationView(v, a)
	if name := v.URL.Query().Get("letter"); name != "" {
		letter, err := d.applicantLetter(v, a.Application, name)
		if err == nil {
			view.Lane.Letter, view.Lane.Draft = name, letter.Text
		} else if !errors.Is(err, disclosure.ErrNotFound) {
			return err
		}
	}
	setApplicantWay(&view)
	return v.render(pages.Application(view))
}

func (d *Desk) applicationView(v *visit, a postgres.ApplicationThread) pages.ApplicationView {
	view := pages.ApplicationView{Desk: d.frame(v, ui.NavApplications), Application: a.Application, Clocks: a.Clocks(), Once: disclosure.NewID(),
		Lane: pages.LaneView{Lane: a.Lane(), Reader: a.Applicant.Label(), Count: len(a.Messages)}}
	for _, m := range a.Messages {
		view.Lane.Messages = append(view.Lane.Messages, applicationMessage(a.Application, m))
		view.Answered = view.Answered || m.State == disclosure.MessageOut || m.State == disclosure.MessageWaiting
	}
	view.Events = slices.Clone(a.History)
	slices.Reverse(view.Events)
	for _, name := range letters.ApplicationAnswers {
		view.Lane.Letters = append(view.Lane.Letters, ui.Option{Value: name, Label: view.Words().Application.Letters[name]})
	}
	return view
}

func applicationMessage(a *disclosure.Application, m disclosure.Message) pages.MessageView {
	view := pages.MessageView{Message: m, Reader: a.Applicant.Label(), CanTakeBack: m.State == disclosure.MessageWaiting,
		FilesAt: pages.ApplicationPath(a.Number) + "/files", TakeBackAt: pages.ApplicationForm(a.Number, pages.ApplicationTakeBack)}
	for _, id := range m.Files {
		for _, f := range a.Files {
			if f.ID == id {
				view.CaseFiles = append(view.CaseFiles, f)
			}
		}
	}
	if m.Arrival != "" {
		view.OriginalHref = pages.ApplicationOriginal(a.Number, m.Arrival)
	}
	return view
}

// setApplicantWay says how an answer travels, by the rules for reporters.
func setApplicantWay(view *pages.ApplicationView) {
	a := view.Application
	t := view.Words().Case
	own := view.Words().Application
	t.NoWayAtAll, t.NoWaySafe, t.NoWayNever = own.NoWayAtAll, own.NoWaySafe, own.NoWayNever
	setWay(&view.Lane, &a.Applicant, a.Policy.Reporter, t)
}

// applicantLetter fills one of the letters for applicants.
func (d *Desk) applicantLetter(v *visit, a *disclosure.Application, name string) (letters.Letter, error) {
	if !slices.Contains(letters.ApplicationAnswers, name) {
		return letters.Letter{}, disclosure.ErrNotFound
	}
	p := a.Policy
	lang := a.Applicant.Language
	if lang == "" {
		lang = p.Project.Language
	}
	return d.c.Letters.Answer(lang, name, letters.Answer{Project: p.Project, Contact: p.Contact.Address, Member: v.by.Name,
		URL: d.c.GateURL, List: p.Announce.Address})
}

// applicationAgain shows the page with what is wrong and what was typed.
func (d *Desk) applicationAgain(v *visit, number int, err error, keep func(*pages.ApplicationView)) error {
	list, err := refused(err)
	if err != nil {
		return err
	}
	a, err := d.c.DB.Application(v.Context(), v.by, number)
	if err != nil {
		return err
	}
	view := d.applicationView(v, a)
	view.Faults = list
	keep(&view)
	setApplicantWay(&view)
	return v.again(pages.Application(view))
}

// applicationStep runs a change on the application as it stands, and only if
// it is still the version that was shown.
func (d *Desk) applicationStep(done string, change func(*visit, *disclosure.Application) error) handler {
	return func(v *visit) error {
		n, err := applicationNumber(v.PathValue("application"))
		if err != nil {
			return err
		}
		err = d.c.DB.UpdateApplication(v.Context(), v.by, n, func(a *disclosure.Application) error {
			if shown := v.PostFormValue(pages.FieldVersion); shown != strconv.Itoa(a.Version) {
				return disclosure.ErrStale
			}
			return change(v, a)
		})
		if err != nil {
			return d.applicationAgain(v, n, err, func(view *pages.ApplicationView) { view.Reason = v.PostFormValue(pages.FieldReason) })
		}
		return v.flash(pages.ApplicationPath(n), done)
	}
}

func (d *Desk) applicantKey(v *visit, a *disclosure.Application) error {
	cert, err := outsideKey(v.PostFormValue(pages.FieldKey), d.c.DB.Now())
	if err != nil {
		return err
	}
	return a.SetKey(cert.Binary(), cert.Fingerprint(), v.by, d.c.DB.Now())
}

func (d *Desk) answerApplicant(v *visit) error {
	a, err := d.theApplication(v)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(v.PostFormValue(pages.FieldText), "\r\n", "\n")
	name := v.PostFormValue(pages.FieldLetter)
	letter, wrong := d.applicantLetter(v, a.Application, name)
	lane := a.Lane()
	in := written{text: text, lane: string(lane.Kind), laneID: lane.ID, letter: letter.Name, clear: v.PostFormValue(pages.FieldClear) == "yes",
		once: v.PostFormValue(pages.FieldOnce)}
	err = d.c.DB.AnswerApplication(v.Context(), v.by, a.Number, postgres.ReplyDraft{
		ID: in.id(v, disclosure.CaseID(a.ID)), Text: text, Letter: letter.Name, Clear: in.clear,
		Safe: wrong == nil && strings.TrimSpace(letter.Text) == strings.TrimSpace(text),
	})
	if err != nil {
		return d.applicationAgain(v, a.Number, err, func(view *pages.ApplicationView) { view.Lane.Draft, view.Lane.Letter = text, letter.Name })
	}
	d.c.Wake()
	return v.flash(pages.ApplicationPath(a.Number), "replying")
}

func (d *Desk) takeBackAnswer(v *visit) error {
	n, err := applicationNumber(v.PathValue("application"))
	if err != nil {
		return err
	}
	if err := d.c.DB.TakeBackAnswer(v.Context(), v.by, n, disclosure.MessageID(v.PostFormValue(pages.FieldMessage))); err != nil {
		return d.applicationAgain(v, n, err, func(*pages.ApplicationView) {})
	}
	return v.flash(pages.ApplicationPath(n), "taken-back")
}

// makeReport makes a case of what was no application.
func (d *Desk) makeReport(v *visit) error {
	n, err := applicationNumber(v.PathValue("application"))
	if err != nil {
		return err
	}
	number, err := d.c.DB.MakeReport(v.Context(), v.by, n)
	if err != nil {
		return d.applicationAgain(v, n, err, func(*pages.ApplicationView) {})
	}
	d.c.Wake()
	return v.flash(pages.CasePath(number), "made-case")
}

// applicationFile sends a file of the application of the path, to be saved.
func (d *Desk) applicationFile(v *visit) error {
	a, err := d.theApplication(v)
	if err != nil {
		return err
	}
	for _, f := range a.Files {
		if string(f.ID) == v.PathValue("file") {
			return d.c.DB.OpenFile(v.Context(), v.by, f.ID, func(f disclosure.File) (io.Writer, error) {
				attachment(v.w, disclosure.CleanLabel(f.Label))
				v.w.Header().Set("Content-Length", fmt.Sprint(f.Size))
				return body(v), nil
			})
		}
	}
	return disclosure.ErrNotFound
}

// applicationOriginal sends what came exactly as it was received.
func (d *Desk) applicationOriginal(v *visit) error {
	a, err := d.theApplication(v)
	if err != nil {
		return err
	}
	id := disclosure.ArrivalID(v.PathValue("arrival"))
	if !slices.ContainsFunc(a.Messages, func(m disclosure.Message) bool { return m.Arrival == id }) {
		return disclosure.ErrNotFound
	}
	attachment(v.w, strings.ToLower(fmt.Sprintf("application-%d-%.8s.original", a.Number, id)))
	return d.c.DB.Original(v.Context(), v.by, id, body(v))
}

// fillApplicant fills the empty form of a distributor with who applied. The
// address stands in no link: only the application's number does.
func (d *Desk) fillApplicant(v *visit, view *pages.DistributorView) error {
	text := v.URL.Query().Get("application")
	if text == "" {
		return nil
	}
	n, err := applicationNumber(text)
	if err != nil {
		return err
	}
	a, err := d.c.DB.Application(v.Context(), v.by, n)
	if err != nil {
		return err
	}
	view.Distributor.Name, view.Distributor.Address = a.Applicant.Name, a.Applicant.Address
	view.Distributor.Note = ui.Say(view.Words().Application.Name, a.Number)
	if certs, err := pgp.ParseCertificates(a.Applicant.Key); err == nil && len(certs) > 0 {
		view.KeyText = string(certs[0].Armored())
	}
	return nil
}
