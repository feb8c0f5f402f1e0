package desk

import (
	"time"

	"postern/internal/disclosure"
	pages "postern/web/desk"
)

// demoRoutes are there in the demo alone.
func (d *Desk) demoRoutes() {
	if d.c.Demo && d.c.MoveTime != nil {
		d.form(pages.PathDemoTime, 0, 0, d.moveTime)
	}
}

// maxMove keeps a slip of the year from ending the demo.
const maxMove = 366 * 24 * time.Hour

// moveTime puts the demo's time forward and works off what became due.
func (d *Desk) moveTime(v *visit) error {
	steps := map[string]time.Duration{"1h": time.Hour, "1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour}
	by, ok := steps[v.PostFormValue(pages.FieldStep)]
	if !ok {
		to, err := time.Parse(hourForm, v.PostFormValue(pages.FieldTo))
		if err != nil {
			return disclosure.Refuse(pages.FieldTo, "Write date and hour like 2026-02-03T15:00.")
		}
		by = to.Sub(d.c.DB.Now())
	}
	if by <= 0 || by > maxMove {
		return disclosure.Refuse(pages.FieldTo, "Time moves forward only, and by a year at most.")
	}
	if err := d.c.MoveTime(v.Context(), by); err != nil {
		return err
	}
	return v.flash(next(v.PostFormValue(pages.FieldNext), home(v.by)), "time-moved")
}
