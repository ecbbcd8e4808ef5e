#version 330
#include common.glsl
in vec3 in_position;      // head space (world where to_world is the identity)
in vec3 in_tangent;
in vec3 in_outward;
in float in_half_width;
in vec2 in_tone;          // the strand's own tone; how open
uniform mat4 to_clip;
uniform mat4 to_world;
uniform mat4 to_torso;    // where hair below the chin tends to stay
uniform vec2 stay;        // heights in head space: below the first all torso, above the second all head
uniform float pixel;      // metres that a sample's pixel spans at 1 m
uniform vec3 hair_colour;
uniform float gloss;
uniform float hair_shadow;
out vec3 colour;

// Strands are so thin that each vertex is lit once: far cheaper than each fragment.
vec3 shade(vec3 position, vec3 t, vec3 n, vec3 v) {
    float open = in_tone.y;
    vec3 albedo = hair_colour * mix(0.5, 1.6, in_tone.x);
    albedo = mix(albedo, albedo * vec3(1.25, 1.05, 0.85), smoothstep(0.8, 1.0, in_tone.x));
    float key = 1.0;
    if (hair_shadow > 0.0) key = lit_few(position, n, 0.0045, 0.012);
    vec3 total = albedo * ambient(n) * open * 1.3, shine = vec3(0.0);
    float tv = dot(t, v);
    for (int i = 0; i < 4; i++) {
        vec3 l = light_direction[i];
        float tl = dot(t, l), nl = clamp((dot(n, l) + 0.35) / 1.35, 0.0, 1.0);
        vec3 c = light_colour[i] * (i == 0 ? key : 1.0) * open * nl;
        total += albedo * c * sqrt(max(1.0 - tl * tl, 0.0)) * 0.75;
        // Two highlights: one off the cuticle, tilted to the root; one through the strand, coloured, tilted to the tip.
        float th = tl + tv - (in_tone.x - 0.5) * 0.16;
        shine += c * (exp(-pow((th - 0.12) / 0.20, 2.0)) * 0.075 + exp(-pow((th + 0.18) / 0.36, 2.0)) * 1.1 * albedo);
    }
    return total + shine * gloss;
}

void main() {
    float w = smoothstep(stay.x, stay.y, in_position.y);
    mat4 place = to_world * w + to_torso * (1.0 - w);
    vec3 position = (place * vec4(in_position, 1.0)).xyz;
    vec3 tangent = normalize(mat3(to_world) * in_tangent), outward = normalize(mat3(to_world) * in_outward);
    vec3 v = eye_position - position;
    colour = tone(shade(position, tangent, outward, normalize(v)));
    float least = 0.16 * pixel * length(v);
    vec3 side = cross(tangent, normalize(v));
    position += side / max(length(side), 0.05) * sign(in_half_width) * max(abs(in_half_width), least);
    gl_Position = to_clip * vec4(position, 1.0);
}
