package router

import "parley/domain"

// Route routes one commit.
func (r *Router) Route(c *domain.Commit) { r.commit(c) }
