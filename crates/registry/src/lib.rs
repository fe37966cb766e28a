//! Things, types, groups, billing groups, principals, policies and tags
