package instance

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postern/internal/server"
)

// openMetrics answers Prometheus on a listener of its own. There are no labels
// but constant ones: no series names a case, a person or a path.
func (in *Instance) openMetrics() error {
	if in.c.MetricsAddr == "" {
		return nil
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_info", Help: "Which program runs.", ConstLabels: prometheus.Labels{"version": in.c.Version}})
	info.Set(1)
	r.MustRegister(info)
	if in.Gate != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_gate_edition", Help: "Number of the edition being served; 0: none."},
			func() float64 { return float64(in.Gate.Edition()) }))
	}
	if in.Work != nil {
		in.workMetrics(r)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	s := server.HTTP(mux, in.c.Log)
	in.http = append(in.http, s)
	l := in.bound["metrics"]
	delete(in.bound, "metrics")
	in.running.Go(func() { _ = s.Serve(l) })
	return nil
}

func (in *Instance) workMetrics(r *prometheus.Registry) {
	s := &in.Work.Stats
	for _, c := range []struct {
		name, help string
		value      func() int64
	}{
		{"arrivals_opened", "Arrivals opened.", s.Opened.Load},
		{"deliveries_sent", "Deliveries the relay took.", s.Sent.Load},
		{"deliveries_deferred", "Attempts put off by the relay.", s.Deferred.Load},
		{"deliveries_rejected", "Deliveries refused.", s.Rejected.Load},
		{"deliveries_uncertain", "Deliveries that may have been taken.", s.Uncertain.Load},
		{"replies", "Replies that left.", s.Replies.Load},
		{"alerts", "Mails to members.", s.Alerts.Load},
		{"site_renderings", "Times the site was rendered by work.", s.Rendered.Load},
		{"work_failures", "Looks of work that ended in an error.", s.Failures.Load},
		{"work_panics", "Panics recovered by work.", s.Panics.Load},
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "postern_" + c.name + "_total", Help: c.help},
			func() float64 { return float64(c.value()) }))
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_vault_unlocked", Help: "1 while the vault is unlocked in this process."}, func() float64 {
		if v := in.DB.Vault(); v != nil && v.Unlocked() {
			return 1
		}
		return 0
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_held", Help: "1 while nothing is sent or published."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if held, err := in.DB.Held(ctx); err != nil || !held.Since.IsZero() {
			return 1
		}
		return 0
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_arrivals_waiting", Help: "Arrivals not opened yet; -1: the database did not answer."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		n, _, err := in.DB.WaitingArrivals(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	}))
}
