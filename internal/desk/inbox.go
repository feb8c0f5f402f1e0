package desk

import (
	"net/url"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/server"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) inboxRoutes() {
	d.page(pages.PathInbox, team, d.inbox)
	d.page(pages.PathInbox+"/list", team, d.inboxList)
	d.figureRoutes()
}

func (d *Desk) inbox(v *visit) error {
	view, err := d.inboxView(v)
	if err != nil {
		return err
	}
	return v.render(pages.Inbox(view))
}

// inboxList is the fragment that is asked for again while the page is open.
func (d *Desk) inboxList(v *visit) error {
	view, err := d.inboxView(v)
	if err != nil {
		return err
	}
	return server.Fragment(v.w, v.Request, pages.InboxList(view))
}

func (d *Desk) inboxView(v *visit) (pages.InboxView, error) {
	ask := v.URL.Query()
	q := inboxQuery(ask)
	found, err := d.found(v.Context(), strings.Fields(strings.ToLower(q.Words)))
	if err != nil {
		return pages.InboxView{}, err
	}
	q.Found = found
	page, err := d.c.DB.Inbox(v.Context(), v.by, q)
	if err != nil {
		return pages.InboxView{}, err
	}
	v.beside = &page.Around
	view := pages.InboxView{
		Desk: d.frame(v, ui.NavInbox), Owners: chooseMember(page.Members), GateURL: d.c.GateURL,
		Filters: pages.InboxFilters{State: ask.Get("state"), Owner: ask.Get("owner"), Channel: ask.Get("channel"), Level: ask.Get("level"), Query: ask.Get("q")},
		Refresh: pages.PathInbox + "/list",
	}
	if v.URL.RawQuery != "" {
		view.Refresh += "?" + v.URL.RawQuery
	}
	if policy := page.Around.Policy; policy != nil && policy.Severity.Shown() {
		view.Levels = policy.Severity.Levels
	}
	view.Tabs = inboxTabs(page.Tallies, string(q.Tab))
	for _, r := range page.Rows {
		view.Rows = append(view.Rows, caseRow(r))
	}
	if page.Next != "" {
		older := url.Values{}
		for k, list := range ask {
			older[k] = list
		}
		older.Set("after", page.Next)
		view.Pager.Older = pages.PathInbox + "?" + older.Encode()
	}
	return view, nil
}

// inboxQuery reads the filters from the URL. What it does not know it leaves out.
func inboxQuery(ask url.Values) postgres.InboxQuery {
	q := postgres.InboxQuery{
		Tab: postgres.InboxTab(ask.Get("state")), Channel: disclosure.Channel(ask.Get("channel")),
		Level: ask.Get("level"), Words: ask.Get("q"), After: ask.Get("after"),
	}
	switch owner := ask.Get("owner"); owner {
	case "nobody":
		q.Unowned = true
	default:
		q.Owner = disclosure.MemberID(owner)
	}
	return q
}

// inboxTabs are the states with what the caller may see of them.
func inboxTabs(tallies map[disclosure.CaseState]int, current string) []ui.Tab {
	open, all := 0, 0
	for state, n := range tallies {
		all += n
		if state != disclosure.Closed && state != disclosure.Disclosed {
			open += n
		}
	}
	tab := func(label, state string, n int) ui.Tab {
		href := pages.PathInbox
		if state != "" {
			href += "?state=" + url.QueryEscape(state)
		}
		return ui.Tab{Label: label, Href: href, Count: n, Current: state == current}
	}
	tabs := []ui.Tab{tab("open", "", open)}
	for _, s := range disclosure.CaseStates {
		tabs = append(tabs, tab(string(s), string(s), tallies[s]))
	}
	return append(tabs, tab("all", string(postgres.TabAll), all))
}

func caseRow(r postgres.InboxRow) pages.CaseRow {
	return pages.CaseRow{
		Number: r.Number, Title: r.Title, State: r.State, Verdict: r.Verdict, Owner: r.OwnerName, Channel: r.Channel,
		Protection: r.Protection, Received: r.Received, Clock: r.Clock, Level: r.Level, Unread: r.Unread,
		Restricted: r.Restricted, Attention: r.Attention,
	}
}

// memberOptions are the active members, for choosing one.
func (d *Desk) memberOptions(v *visit) ([]ui.Option, error) {
	members, err := d.c.DB.Members(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	return chooseMember(members), nil
}

func chooseMember(members []postgres.Member) (options []ui.Option) {
	for _, m := range members {
		if m.Disabled.IsZero() && m.Joined && m.Roles&team != 0 {
			options = append(options, ui.Option{Value: string(m.ID), Label: m.Name})
		}
	}
	return options
}
