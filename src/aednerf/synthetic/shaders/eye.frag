#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, rest;
in vec2 uv, occlusion;
in vec3 reach;
in float neck;
uniform vec3 eye_centre;         // world
uniform mat3 eye_to_world;       // columns: the eye's side, up and axis
uniform float ball_radius;       // metres
uniform float iris_radius;
uniform float pupil;             // of the iris' radius
uniform vec3 upper_lid[19];      // world
uniform vec3 lower_lid[19];
uniform float iris_lod;          // the map's level that fits the picture: the angle's seam forbids derivatives
uniform sampler2D iris_map;      // angle, distance from the axis / 3 iris radii

float near(vec3 p, vec3 lid[19]) {
    float best = 1.0;
    for (int i = 0; i < 18; i++) {
        vec3 a = lid[i], d = lid[i + 1] - a;
        vec3 r = p - a - d * clamp(dot(p - a, d) / max(dot(d, d), 1e-12), 0.0, 1.0);
        best = min(best, dot(r, r));
    }
    return sqrt(best);
}

void main() {
    vec3 v = normalize(eye_position - position);
    vec3 p = (position - eye_centre) * eye_to_world;      // in the eye's own axes
    vec3 view = v * eye_to_world;
    float limbus = sqrt(ball_radius * ball_radius - iris_radius * iris_radius);
    float away = length(p.xy) / iris_radius;
    // The cornea bulges: a smaller sphere through the limbus.
    float cornea_radius = iris_radius * 1.32;
    float cornea_centre = limbus - sqrt(cornea_radius * cornea_radius - iris_radius * iris_radius);
    vec3 on_ball = normalize(p), on_cornea = normalize(p - vec3(0.0, 0.0, cornea_centre));
    vec3 n_local = normalize(mix(on_cornea, on_ball, smoothstep(0.82, 1.12, away)));
    vec3 n = eye_to_world * n_local;

    float upper = near(position, upper_lid), lower = near(position, lower_lid);
    float shadow = mix(0.16, 1.0, smoothstep(0.0, 0.0048, upper)) * mix(0.62, 1.0, smoothstep(0.0, 0.0022, lower));
    shadow *= mix(0.55, 1.0, smoothstep(0.0145, 0.010, abs(p.x)));
    float key = lit(position, n, 0.0022, 0.007);
    key = mix(0.35, 1.0, key);

    // Through the cornea the iris plane is seen bent.
    vec3 bent = refract(-view, on_cornea, 1.0 / 1.336);
    float plane = limbus - 0.0006;
    float s = (plane - p.z) / min(bent.z, -0.05);
    vec2 hit = (p + bent * s).xy / iris_radius;
    float rho = length(hit);
    float angle = atan(hit.y, hit.x) / (2.0 * PI) + 0.5;
    float fibre = clamp((rho - pupil) / (1.0 - pupil), 0.0, 1.0);
    vec3 iris = textureLod(iris_map, vec2(angle, fibre / 3.0), iris_lod).rgb; iris *= iris;
    iris *= smoothstep(pupil - 0.04, pupil + 0.05, rho);
    iris *= mix(1.0, 0.22, smoothstep(0.80, 1.0, rho));                        // limbal ring
    float sphere_angle = atan(p.y, p.x) / (2.0 * PI) + 0.5;
    vec3 white = textureLod(iris_map, vec2(sphere_angle, clamp(away / 3.0, 0.345, 0.99)), max(iris_lod - 1.0, 0.0)).rgb; white *= white;
    float edge = smoothstep(0.93, 1.06, away);
    vec3 albedo = mix(iris * 0.62, white * 0.80, edge);

    // Light gathered by the cornea brightens the iris on the far side of the light.
    vec3 light_local = light_direction[0] * eye_to_world;
    float caustic = 1.0 + 1.1 * clamp(-dot(normalize(hit + 1e-4), normalize(light_local.xy)), 0.0, 1.0) * rho * (1.0 - edge);
    vec3 soft = normalize(mix(n, eye_to_world * vec3(0.0, 0.0, 1.0), 0.35));
    vec3 diffuse = ambient(soft) * shadow;
    for (int i = 0; i < 2; i++) {
        float w = clamp((dot(soft, light_direction[i]) + 0.25) / 1.25, 0.0, 1.0);
        diffuse += light_colour[i] * w * 0.62 * (i == 0 ? key : 1.0) * shadow;
    }
    vec3 colour = albedo * diffuse * mix(caustic, 1.0, edge);
    vec3 mirror = reflect(-v, n);
    float fresnel = 0.022 + 0.6 * pow(1.0 - max(dot(n, v), 0.0), 5.0);
    float wet = smoothstep(0.0, 0.0016, upper) * mix(0.25, 1.0, shadow);
    colour += studio(mirror, 0.02) * fresnel * wet * mix(1.25, 0.55, edge);
    // Closed lids (3 mm between the lashes' roots) leave a sliver of the ball, which is the dark between the lashes.
    colour = mix(vec3(0.028, 0.013, 0.009), colour, smoothstep(0.0032, 0.0058, upper + lower));
    out_colour = vec4(tone(colour), 1.0);
    out_part = part(1);
}
