package desk

import (
	"fmt"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	pages "postern/web/desk"
	"postern/web/ui"
)

func (d *Desk) figureRoutes() {
	d.page(pages.PathFigures, team, d.figures)
}

// figures shows what came and what became of it: ?by=quarter, or by year.
func (d *Desk) figures(v *visit) error {
	quarters := v.URL.Query().Get("by") == "quarter"
	list, err := d.c.DB.Figures(v.Context(), v.by, quarters)
	if err != nil {
		return err
	}
	view := pages.FiguresView{Desk: d.frame(v, ui.NavInbox), Quarters: quarters}
	for _, p := range list {
		view.Rows = append(view.Rows, figureRow(p, quarters))
	}
	return v.render(pages.Figures(view))
}

func figureRow(p postgres.Period, quarters bool) pages.FigureRow {
	row := pages.FigureRow{Period: fmt.Sprint(p.From.Year()), Received: p.Received, Open: p.Open, Published: p.Disclosed,
		Rejected: p.Rejected(), FiledPublicly: p.Verdicts[disclosure.FilePublicly], Median: p.Median, Answered: p.Answered, InTime: p.InTime, Due: p.Due}
	if quarters {
		row.Period = fmt.Sprintf("%d Q%d", p.From.Year(), (p.From.Month()+2)/3)
	}
	for _, v := range disclosure.Verdicts {
		if n := p.Verdicts[v]; n > 0 {
			row.Verdicts = append(row.Verdicts, pages.FigureCount{Words: v.Words(), N: n})
		}
	}
	return row
}
