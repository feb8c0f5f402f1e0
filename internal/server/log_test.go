package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/internal/disclosure"
)

// TestRefusalsAreNotLogged: a refusal may quote what somebody typed, so the
// log says only that there was one.
func TestRefusalsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Name: "gate", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.Page("/x", func(http.ResponseWriter, *http.Request) error {
		return disclosure.Refuse("title", `“canary” cannot be a title.`)
	})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("GET /x = %d, want 422", w.Code)
	}
	if !strings.Contains(log.String(), "refused") || strings.Contains(log.String(), "canary") {
		t.Errorf("the log says %q; want that it was refused, and not what was typed", log.String())
	}
}
